/* Passwords with crypt(3) of libcrypt: yescrypt, slow and salted. */
#ifndef PASSWORDS_H
#define PASSWORDS_H

#include "net.h"
#include <crypt.h>

/* The hash of a password, with the salt that `setting` has, or with a new one for NULL. NULL if there is none. */
static inline const char *hash_of(const char *password, size_t length, const char *setting) {
    static struct crypt_data data;
    char salt[CRYPT_GENSALT_OUTPUT_SIZE], text[CRYPT_MAX_PASSPHRASE_SIZE];
    if (length >= sizeof text)
        return NULL;
    memcpy(text, password, length);
    text[length] = 0;
    if (!setting)
        setting = crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof salt);
    const char *hash = setting ? crypt_r(text, setting, &data) : NULL;
    explicit_bzero(text, sizeof text);
    /* A zero byte would cut the password short. It is looked for after the work, so that this takes no less time. */
    return hash && hash[0] != '*' && !memchr(password, 0, length) ? hash : NULL;
}

/* Whether a password is the one that `kept` is the hash of, in the same time whatever the answer is. */
static inline int is_password(const char *password, size_t length, const char *kept) {
    const char *hash = hash_of(password, length, kept);
    size_t size = strlen(kept);
    if (!hash || strlen(hash) != size)
        return 0;
    unsigned difference = 0;
    for (size_t i = 0; i < size; i++)
        difference |= (unsigned)(hash[i] ^ kept[i]);
    return difference == 0;
}

/* Makes 32 bytes of key of a passphrase: its yescrypt hash, whose 256 bits stand as 43 digits at the end. The salt is kept in
 * the file `salt_path`. */
static inline void key_of_passphrase(const char *passphrase, const char *salt_path, uint8_t *key) {
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char salt[CRYPT_GENSALT_OUTPUT_SIZE] = "";
    if (read_file(salt_path, (uint8_t *)salt, sizeof salt - 1) <= 0) {
        if (!crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof salt))
            die("crypt(3) knows no yescrypt here");
        replace_file(salt_path, salt, strlen(salt));
    }
    const char *hash = hash_of(passphrase, strlen(passphrase), salt);
    if (!hash || strlen(hash) < 43)
        die("no key can be made of that passphrase");
    hash += strlen(hash) - 43;
    memset(key, 0, 32);
    for (int bit = 0; bit < 256; bit++) {
        const char *digit = strchr(digits, hash[bit / 6]);
        if (digit && (digit - digits) >> bit % 6 & 1)
            key[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
}

/* What an environment variable says, or else what is typed without being shown. */
static inline const char *secret(const char *variable, const char *prompt) {
    const char *text = getenv(variable);
    text = text ? text : getpass(prompt);
    return text ? text : "";
}

#endif
