// securechat for C++17: handles that free themselves, exceptions, views and vectors, over securechat.h, which is the manual.
//
// Each class holds one handle and can be moved, not copied. A function that fails throws securechat::error, which carries the
// status. Events, records and jobs are the structs of C; what they point to ends with the next call on the same object.

#ifndef SECURECHAT_HPP
#define SECURECHAT_HPP

#include "securechat.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace securechat {

using event = securechat_event;
using record = securechat_record;
using job = securechat_job;
using config = securechat_config;
using contact = securechat_contact;
using group_info = securechat_group;
using transfer = securechat_transfer;
using client_info = securechat_client_info;
using file_info = securechat_file_info;
using bundle_info = securechat_bundle;
using relay_options = securechat_relay_options;
using status = ::securechat_status;

using bytes = std::vector<std::uint8_t>;
using fingerprint = std::array<std::uint8_t, SECURECHAT_FINGERPRINT_SIZE>;
using id = std::array<std::uint8_t, 16>;
using key = std::array<std::uint8_t, 32>;

/// A call that failed: its status, and as what() the text of the handle, or of the status.
class error : public std::runtime_error {
public:
    explicit error(securechat_status status) : error(status, securechat_status_message(static_cast<std::int32_t>(status))) {}
    error(securechat_status status, const char *text) : std::runtime_error(text), status_(status) {}

    /// The number to decide by.
    securechat_status status() const noexcept { return status_; }
    /// Its name, such as "SECURECHAT_ERR_DECRYPT".
    const char *name() const noexcept { return securechat_status_name(static_cast<std::int32_t>(status_)); }

private:
    securechat_status status_;
};

/// Bytes of somebody else: a vector, an array, a text, or a pointer and a length.
class view {
public:
    constexpr view() noexcept = default;
    constexpr view(const std::uint8_t *data, std::size_t size) noexcept : data_(data), size_(size) {}
    view(const bytes &from) noexcept : data_(from.data()), size_(from.size()) {}
    template <std::size_t N>
    constexpr view(const std::array<std::uint8_t, N> &from) noexcept : data_(from.data()), size_(N) {}
    view(std::string_view from) noexcept : data_(reinterpret_cast<const std::uint8_t *>(from.data())), size_(from.size()) {}
    view(const std::string &from) noexcept : view(std::string_view(from)) {}
    view(const char *from) noexcept : view(std::string_view(from)) {}

    constexpr const std::uint8_t *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr const std::uint8_t *begin() const noexcept { return data_; }
    constexpr const std::uint8_t *end() const noexcept { return data_ + size_; }
    /// A copy.
    bytes copy() const { return bytes(begin(), end()); }
    /// The same bytes as text.
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data_), size_}; }

private:
    const std::uint8_t *data_ = nullptr;
    std::size_t size_ = 0;
};

/// The texts and bytes of an event, of a group or of a transfer, as views that end when it does.
inline std::string_view user_of(const event &told) noexcept { return {told.user, told.user_len}; }
inline std::string_view name_of(const event &told) noexcept { return {told.name, told.name_len}; }
inline view data_of(const event &told) noexcept { return {told.data, told.data_len}; }
/// The name by which a group is called; empty where something is of no group.
inline std::string_view group_of(const event &told) noexcept { return told.group; }
inline std::string_view group_of(const group_info &group) noexcept { return group.group; }
inline std::string_view name_of(const group_info &group) noexcept { return {group.name, group.name_len}; }
/// Names with one space between.
inline std::string_view members_of(const group_info &group) noexcept { return {group.members, group.members_len}; }
inline std::string_view admins_of(const group_info &group) noexcept { return {group.admins, group.admins_len}; }
inline std::string_view with_of(const transfer &file) noexcept { return {file.with, file.with_len}; }
inline std::string_view name_of(const transfer &file) noexcept { return {file.name, file.name_len}; }
inline id file_of(const event &told) noexcept {
    id copy{};
    for (std::size_t i = 0; i < copy.size(); i++)
        copy[i] = told.file[i];
    return copy;
}

namespace detail {

inline void check(securechat_status status) {
    if (status != SECURECHAT_OK)
        throw error(status);
}

/// A handle, freed once.
template <typename T, void (*Free)(T *)>
struct deleter {
    void operator()(T *handle) const noexcept { Free(handle); }
};
template <typename T, void (*Free)(T *)>
using owned = std::unique_ptr<T, deleter<T, Free>>;

/// Asks `copy_out` for the size, and then for the bytes.
template <typename CopyOut>
bytes copied(CopyOut copy_out) {
    std::size_t length = 0;
    securechat_status status = copy_out(nullptr, std::size_t{0}, &length);
    bytes buffer(length);
    if (status == SECURECHAT_ERR_BUFFER)
        status = copy_out(buffer.data(), buffer.size(), &length);
    check(status);
    buffer.resize(length);
    return buffer;
}

/// What an optional fingerprint is in C.
inline const std::uint8_t *pointer(const std::optional<fingerprint> &from) noexcept { return from ? from->data() : nullptr; }

} // namespace detail

/// The version of the library that runs: major << 16 | minor << 8 | patch.
inline std::uint32_t version() noexcept { return securechat_version_number(); }

/// The defaults, to be changed.
inline config default_config() {
    config made{};
    detail::check(securechat_config_default(&made, sizeof made));
    return made;
}

/// Reads host:port#fingerprint.
inline securechat_address parse_address(std::string_view text) {
    securechat_address address{};
    detail::check(securechat_address_parse(text.data(), text.size(), &address, sizeof address));
    return address;
}

/// Checks the signature of a bundle and tells what is in it.
inline bundle_info read_bundle(view bundle) {
    bundle_info info{};
    detail::check(securechat_bundle_read(bundle.data(), bundle.size(), &info, sizeof info));
    return info;
}

/// The 60 digits for two users with these devices, 32 bytes each, one behind the other.
inline std::string safety_number(std::string_view user_a, view devices_a, std::string_view user_b, view devices_b) {
    std::array<char, SECURECHAT_SAFETY_NUMBER_DIGITS + 1> digits{};
    detail::check(securechat_safety_number(user_a.data(), user_a.size(), devices_a.data(), devices_a.size() / 32, user_b.data(),
                                           user_b.size(), devices_b.data(), devices_b.size() / 32, digits.data()));
    return digits.data();
}

/// The keys of a server, or of one end of a link.
class identity {
public:
    static identity generate(std::uint64_t now, const config *config = nullptr) {
        securechat_identity *made = nullptr;
        detail::check(securechat_identity_generate(config, now, &made));
        return identity(made);
    }
    static identity import(view exported, std::uint64_t now, const config *config = nullptr) {
        securechat_identity *made = nullptr;
        detail::check(securechat_identity_import(config, exported.data(), exported.size(), now, &made));
        return identity(made);
    }

    /// The private keys: keep them secret.
    bytes export_secret() {
        return detail::copied([&](auto... room) { return securechat_identity_export(get(), room...); });
    }
    bytes bundle() {
        return detail::copied([&](auto... room) { return securechat_identity_bundle(get(), room...); });
    }
    /// What others pin.
    securechat::fingerprint fingerprint() {
        bundle_info info = read_bundle(bundle());
        securechat::fingerprint copy{};
        for (std::size_t i = 0; i < copy.size(); i++)
            copy[i] = info.fingerprint[i];
        return copy;
    }
    securechat_identity *get() const noexcept { return handle_.get(); }

private:
    explicit identity(securechat_identity *made) noexcept : handle_(made) {}
    detail::owned<securechat_identity, securechat_identity_free> handle_;
};

/// A secure channel over one connection.
class link {
public:
    link(std::uint32_t role, std::uint32_t purpose, const identity *own, const std::optional<fingerprint> &pin, std::uint64_t now,
         const config *config = nullptr) {
        securechat_link *made = nullptr;
        detail::check(securechat_link_new(config, role, purpose, own ? own->get() : nullptr, detail::pointer(pin), now, &made));
        handle_.reset(made);
    }
    /// Towards whoever has this fingerprint.
    static link connect(const fingerprint &pin, std::uint64_t now) {
        return link(SECURECHAT_ROLE_INITIATOR, SECURECHAT_PURPOSE_RELAY, nullptr, pin, now);
    }
    /// From whoever connects.
    static link accept_from(const identity &own, std::uint64_t now) {
        return link(SECURECHAT_ROLE_RESPONDER, SECURECHAT_PURPOSE_RELAY, &own, std::nullopt, now);
    }

    void input(view data, std::uint64_t now) { check(securechat_link_input(get(), data.data(), data.size(), now)); }
    void end() { check(securechat_link_end(get())); }
    view output() {
        const std::uint8_t *data = nullptr;
        std::size_t length = 0;
        check(securechat_link_output(get(), &data, &length));
        return {data, length};
    }
    void output_consume(std::size_t count) { check(securechat_link_output_consume(get(), count)); }
    std::size_t read_output(std::uint8_t *buffer, std::size_t size) {
        std::size_t length = 0;
        check(securechat_link_read_output(get(), buffer, size, &length));
        return length;
    }
    /// Whether there was one.
    bool next_event(event &told) {
        check(securechat_link_next_event(get(), &told, sizeof told));
        return told.kind != SECURECHAT_EVENT_NONE;
    }
    /// When to call again.
    std::uint64_t tick(std::uint64_t now) {
        std::uint64_t next = 0;
        check(securechat_link_tick(get(), now, &next));
        return next;
    }
    void send(view data) { check(securechat_link_send(get(), data.data(), data.size())); }
    void accept(const fingerprint &shown, std::uint64_t now) { check(securechat_link_accept(get(), shown.data(), now)); }
    void close(std::uint32_t code = SECURECHAT_CLOSE_DONE) { check(securechat_link_close(get(), code)); }
    securechat_link *get() const noexcept { return handle_.get(); }

private:
    void check(securechat_status status) const {
        if (status != SECURECHAT_OK)
            throw error(status, securechat_link_error(get()));
    }
    detail::owned<securechat_link, securechat_link_free> handle_;
};

/// One device of one user.
class client {
public:
    client(std::string_view user, const key &key, const std::vector<record> &records, std::uint64_t now,
           std::uint32_t history = SECURECHAT_HISTORY_CONTINUED, std::uint64_t generation = 0, const config *config = nullptr) {
        securechat_client *made = nullptr;
        detail::check(securechat_client_new(config, user.data(), user.size(), key.data(), records.data(), records.size(), history,
                                            generation, now, &made));
        handle_.reset(made);
    }

    // The state: take all, make it durable, say so.
    bool next_save(record &next) {
        check(securechat_client_next_save(get(), &next));
        return next.key != nullptr;
    }
    void save_done() { check(securechat_client_save_done(get())); }
    void rekey(const key &other) { check(securechat_client_rekey(get(), other.data())); }
    bytes seal(std::string_view name, view data) {
        return detail::copied([&](auto... room) {
            return securechat_client_seal(get(), name.data(), name.size(), data.data(), data.size(), room...);
        });
    }
    bytes open(std::string_view name, view data) {
        return detail::copied([&](auto... room) {
            return securechat_client_open(get(), name.data(), name.size(), data.data(), data.size(), room...);
        });
    }
    client_info about() {
        client_info info{};
        check(securechat_client_about(get(), &info, sizeof info));
        return info;
    }

    // Links.
    std::uint32_t connect_relay(std::string_view address, std::uint64_t now) {
        std::uint32_t link = 0;
        check(securechat_client_connect_relay(get(), address.data(), address.size(), now, &link));
        return link;
    }
    std::uint32_t connect_peer(std::uint32_t role, const std::optional<fingerprint> &pin, std::uint64_t now) {
        std::uint32_t link = 0;
        check(securechat_client_connect_peer(get(), role, detail::pointer(pin), now, &link));
        return link;
    }
    void accept_link(std::uint32_t link, const fingerprint &shown, std::uint64_t now) {
        check(securechat_client_accept_link(get(), link, shown.data(), now));
    }
    void close_link(std::uint32_t link, std::uint64_t now) { check(securechat_client_close_link(get(), link, now)); }
    void input(std::uint32_t link, view data, std::uint64_t now) {
        check(securechat_client_input(get(), link, data.data(), data.size(), now));
    }
    void end(std::uint32_t link, std::uint64_t now) { check(securechat_client_end(get(), link, now)); }
    view output(std::uint32_t link) {
        const std::uint8_t *data = nullptr;
        std::size_t length = 0;
        check(securechat_client_output(get(), link, &data, &length));
        return {data, length};
    }
    void output_consume(std::uint32_t link, std::size_t count) { check(securechat_client_output_consume(get(), link, count)); }
    std::size_t read_output(std::uint32_t link, std::uint8_t *buffer, std::size_t size) {
        std::size_t length = 0;
        check(securechat_client_read_output(get(), link, buffer, size, &length));
        return length;
    }
    std::uint64_t tick(std::uint64_t now) {
        std::uint64_t next = 0;
        check(securechat_client_tick(get(), now, &next));
        return next;
    }
    bool next_event(event &told) {
        check(securechat_client_next_event(get(), &told, sizeof told));
        return told.kind != SECURECHAT_EVENT_NONE;
    }

    // The account.
    void enter(std::string_view password, std::uint64_t now) {
        check(securechat_client_enter(get(), password.data(), password.size(), now));
    }
    void register_account(std::string_view password, std::uint64_t now) {
        check(securechat_client_register(get(), password.data(), password.size(), now));
    }
    void log_in(std::string_view password, std::uint64_t now, std::uint32_t code = SECURECHAT_NO_CODE) {
        check(securechat_client_log_in(get(), password.data(), password.size(), code, now));
    }
    void change_password(std::string_view old, std::string_view other, std::uint64_t now) {
        check(securechat_client_change_password(get(), old.data(), old.size(), other.data(), other.size(), now));
    }
    void set_up_code(std::string_view password, std::uint64_t now, std::uint32_t code = SECURECHAT_NO_CODE) {
        check(securechat_client_set_up_code(get(), password.data(), password.size(), code, now));
    }
    void confirm_code(std::uint32_t code, std::uint64_t now) { check(securechat_client_confirm_code(get(), code, now)); }
    void list_users(std::uint64_t now) { check(securechat_client_list_users(get(), now)); }
    void set_presence(std::uint32_t presence, std::uint64_t now) { check(securechat_client_set_presence(get(), presence, now)); }
    void list_device(const key &device, bool listed, std::uint64_t now) {
        check(securechat_client_list_device(get(), device.data(), listed ? 1 : 0, now));
    }
    void start_over(std::uint64_t now) { check(securechat_client_start_over(get(), now)); }

    // Other users.
    void look_up(std::string_view user, std::uint64_t now) { check(securechat_client_look_up(get(), user.data(), user.size(), now)); }
    /// What is known of a user; nothing where nothing is.
    std::optional<securechat::contact> contact(std::string_view user) {
        securechat::contact found{};
        return known(securechat_client_contact(get(), user.data(), user.size(), 0, &found, sizeof found), found);
    }
    /// That of number `index` of all.
    std::optional<securechat::contact> contact(std::size_t index) {
        securechat::contact found{};
        return known(securechat_client_contact(get(), nullptr, 0, index, &found, sizeof found), found);
    }
    /// The safety number; nothing until SECURECHAT_EVENT_LISTS_AGREE.
    std::optional<std::string> safety_number(std::string_view user, std::uint64_t now) {
        std::array<char, SECURECHAT_SAFETY_NUMBER_DIGITS + 1> digits{};
        securechat_status status = securechat_client_safety_number(get(), user.data(), user.size(), now, digits.data());
        if (status == SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE)
            return std::nullopt;
        check(status);
        return std::string(digits.data());
    }
    void mark_verified(std::string_view user, std::uint64_t now) {
        check(securechat_client_mark_verified(get(), user.data(), user.size(), now));
    }
    void accept_keys(std::string_view user, const key &kept_aside, std::uint64_t now) {
        check(securechat_client_accept_keys(get(), user.data(), user.size(), kept_aside.data(), now));
    }

    // Groups.
    /// Gives the name by which it is called.
    std::string create_group(std::string_view name, bool open, std::uint64_t now) {
        std::array<char, SECURECHAT_GROUP_SIZE> made{};
        check(securechat_client_create_group(get(), name.data(), name.size(), open ? 1 : 0, now, made.data()));
        return made.data();
    }
    void change_group(std::string_view group, std::uint32_t change, std::string_view value, std::uint64_t now) {
        check(securechat_client_change_group(get(), group.data(), group.size(), change, value.data(), value.size(), now));
    }
    /// What is known of a group; nothing where nothing is.
    std::optional<group_info> group(std::string_view called) {
        group_info found{};
        return known(securechat_client_group(get(), called.data(), called.size(), 0, &found, sizeof found), found);
    }
    /// That of number `index` of all.
    std::optional<group_info> group(std::size_t index) {
        group_info found{};
        return known(securechat_client_group(get(), nullptr, 0, index, &found, sizeof found), found);
    }

    // Messages and files, to users and groups.
    id send(std::string_view to, std::string_view text, std::uint64_t now) {
        return send(to, SECURECHAT_MESSAGE_TEXT, text, now);
    }
    id send(std::string_view to, std::uint32_t message, view data, std::uint64_t now, const std::optional<id> &target = std::nullopt) {
        id made{};
        check(securechat_client_send(get(), to.data(), to.size(), message, target ? target->data() : nullptr, data.data(),
                                     data.size(), now, made.data()));
        return made;
    }
    struct sent_file {
        id file, message;
    };
    sent_file send_file(std::string_view to, std::string_view name, std::uint64_t size, std::uint64_t now,
                        std::string_view media_type = {}) {
        sent_file made{};
        check(securechat_client_send_file(get(), to.data(), to.size(), name.data(), name.size(), size, media_type.data(),
                                          media_type.size(), now, made.file.data(), made.message.data()));
        return made;
    }
    void supply_file(const id &file, std::uint64_t chunk, view data, std::uint64_t now) {
        check(securechat_client_supply_file(get(), file.data(), chunk, data.data(), data.size(), now));
    }
    void accept_file(const id &file, std::uint64_t now) { check(securechat_client_accept_file(get(), file.data(), now)); }
    void cancel_file(const id &file, std::uint64_t now) { check(securechat_client_cancel_file(get(), file.data(), now)); }
    void pause_file(const id &file, bool paused, std::uint64_t now) {
        check(securechat_client_pause_file(get(), file.data(), paused ? 1 : 0, now));
    }
    /// How a file on its way stands; nothing when it is not.
    std::optional<securechat::transfer> transfer(const id &file) {
        securechat::transfer found{};
        return known(securechat_client_transfer(get(), file.data(), 0, &found, sizeof found), found);
    }
    /// That of number `index` of all.
    std::optional<securechat::transfer> transfer(std::size_t index) {
        securechat::transfer found{};
        return known(securechat_client_transfer(get(), nullptr, index, &found, sizeof found), found);
    }
    securechat_client *get() const noexcept { return handle_.get(); }

private:
    void check(securechat_status status) const {
        if (status != SECURECHAT_OK)
            throw error(status, securechat_client_error(get()));
    }
    template <typename T>
    std::optional<T> known(securechat_status status, const T &found) const {
        if (status == SECURECHAT_ERR_UNKNOWN_USER || status == SECURECHAT_ERR_NOT_FOUND)
            return std::nullopt;
        check(status);
        return found;
    }
    detail::owned<securechat_client, securechat_client_free> handle_;
};

/// A file that is sealed or opened in chunks.
class file {
public:
    /// The sender's end of a new one.
    file(std::uint64_t size, std::string_view name, std::string_view media_type = {},
         std::uint32_t cipher = SECURECHAT_CIPHER_AES_GCM, std::uint32_t proof = SECURECHAT_PROOF_TAGS,
         const config *config = nullptr) {
        securechat_file *made = nullptr;
        detail::check(securechat_file_new(config, cipher, proof, size, name.data(), name.size(), media_type.data(), media_type.size(),
                                          &made));
        handle_.reset(made);
    }
    /// One that was offered.
    static file open(std::uint32_t role, view offer, view state = {}, const config *config = nullptr) {
        securechat_file *made = nullptr;
        detail::check(securechat_file_open(config, role, offer.data(), offer.size(), state.data(), state.size(), &made));
        return file(made);
    }

    file_info about() {
        file_info info{};
        detail::check(securechat_file_about(get(), &info, sizeof info));
        return info;
    }
    /// It has the key: send it end to end.
    bytes offer() {
        return detail::copied([&](auto... room) { return securechat_file_offer(get(), room...); });
    }
    bytes seal_chunk(std::uint64_t index, view data) {
        bytes buffer(SECURECHAT_SEALED_CHUNK_MAX);
        std::size_t length = 0;
        detail::check(securechat_file_seal_chunk(get(), index, data.data(), data.size(), buffer.data(), buffer.size(), &length));
        buffer.resize(length);
        return buffer;
    }
    bytes open_chunk(std::uint64_t index, view data) {
        bytes buffer(SECURECHAT_CHUNK_SIZE);
        std::size_t length = 0;
        detail::check(securechat_file_open_chunk(get(), index, data.data(), data.size(), buffer.data(), buffer.size(), &length));
        buffer.resize(length);
        return buffer;
    }
    /// The first row of chunks from `from` on that are missing: where it begins and how many they are.
    std::optional<std::pair<std::uint64_t, std::uint64_t>> next_missing(std::uint64_t from = 0) {
        std::uint64_t first = 0, count = 0;
        detail::check(securechat_file_next_missing(get(), from, &first, &count));
        if (count == 0)
            return std::nullopt;
        return std::pair(first, count);
    }
    /// Throws unless what was opened is the sender's file.
    void finish(const key &root) { detail::check(securechat_file_finish(get(), root.data())); }
    bytes save(std::uint64_t page) {
        return detail::copied([&](auto... room) { return securechat_file_save(get(), page, room...); });
    }
    securechat_file *get() const noexcept { return handle_.get(); }

private:
    explicit file(securechat_file *made) noexcept : handle_(made) {}
    detail::owned<securechat_file, securechat_file_free> handle_;
};

/// What a server holds.
class relay {
public:
    relay(const identity &own, const relay_options &options, const std::vector<record> &records, std::uint64_t now,
          const config *config = nullptr) {
        securechat_relay *made = nullptr;
        detail::check(securechat_relay_new(config, own.get(), &options, records.data(), records.size(), now, &made));
        handle_.reset(made);
    }

    std::uint64_t tick(std::uint64_t now) {
        std::uint64_t next = 0;
        check(securechat_relay_tick(get(), now, &next));
        return next;
    }
    void shutdown(std::uint64_t now) { check(securechat_relay_shutdown(get(), now)); }
    /// Its number; nothing when it is not taken: close the socket.
    std::optional<std::uint64_t> connect(const std::array<std::uint8_t, 16> &address, std::uint64_t now) {
        std::uint64_t connection = 0;
        securechat_status status = securechat_relay_connect(get(), address.data(), now, &connection);
        if (status == SECURECHAT_ERR_BUSY)
            return std::nullopt;
        check(status);
        return connection;
    }
    /// Whether it was taken; if not, try again after the next completed job.
    bool input(std::uint64_t connection, view data, std::uint64_t now) {
        securechat_status status = securechat_relay_input(get(), connection, data.data(), data.size(), now);
        if (status == SECURECHAT_ERR_AGAIN)
            return false;
        check(status);
        return true;
    }
    void end(std::uint64_t connection, std::uint64_t now) { check(securechat_relay_end(get(), connection, now)); }
    view output(std::uint64_t connection) {
        const std::uint8_t *data = nullptr;
        std::size_t length = 0;
        check(securechat_relay_output(get(), connection, &data, &length));
        return {data, length};
    }
    void output_consume(std::uint64_t connection, std::size_t count) {
        check(securechat_relay_output_consume(get(), connection, count));
    }
    std::size_t read_output(std::uint64_t connection, std::uint8_t *buffer, std::size_t size) {
        std::size_t length = 0;
        check(securechat_relay_read_output(get(), connection, buffer, size, &length));
        return length;
    }
    bool next_event(event &told) {
        check(securechat_relay_next_event(get(), &told, sizeof told));
        return told.kind != SECURECHAT_EVENT_NONE;
    }
    bool next_job(job &wanted) {
        check(securechat_relay_next_job(get(), &wanted, sizeof wanted));
        return wanted.kind != SECURECHAT_JOB_NONE;
    }
    void complete_job(std::uint64_t number, std::uint32_t outcome, view data, std::uint64_t now) {
        check(securechat_relay_complete_job(get(), number, outcome, data.data(), data.size(), now));
    }
    securechat_relay *get() const noexcept { return handle_.get(); }

private:
    void check(securechat_status status) const {
        if (status != SECURECHAT_OK)
            throw error(status, securechat_relay_error(get()));
    }
    detail::owned<securechat_relay, securechat_relay_free> handle_;
};

} // namespace securechat

#endif
