package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"securechat-example/securechat"
)

// store is the records of a client in one file, which is replaced as a whole: a save is there completely or not at all.
type store struct {
	path    string
	Salt    []byte
	Records map[string][]byte
}

func openStore(path string) (*store, error) {
	// Two programs on one state would use the same keys twice. The lock ends with the program.
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%s is in use: %w", path, err)
	}
	made := &store{path: path, Salt: make([]byte, 16), Records: map[string][]byte{}}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = rand.Read(made.Salt)
		return made, err
	} else if err != nil {
		return nil, err
	}
	defer file.Close()
	return made, gob.NewDecoder(file).Decode(made)
}

// key makes the passphrase into a key, slowly: PBKDF2 (RFC 8018) with HMAC-SHA-256, whose one block is the key. Go's standard
// library has nothing better; with golang.org/x/crypto take Argon2id.
func (s *store) key(passphrase string) (key [32]byte) {
	mac := hmac.New(sha256.New, []byte(passphrase))
	mac.Write(s.Salt)
	mac.Write([]byte{0, 0, 0, 1})
	block := mac.Sum(nil)
	copy(key[:], block)
	for round := 1; round < 600_000; round++ {
		mac.Reset()
		mac.Write(block)
		block = mac.Sum(block[:0])
		for at := range key {
			key[at] ^= block[at]
		}
	}
	return key
}

func (s *store) save(records []securechat.Record) error {
	for _, record := range records {
		if record.Value == nil {
			delete(s.Records, record.Key)
		} else {
			s.Records[record.Key] = record.Value
		}
	}
	file, err := os.OpenFile(s.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := gob.NewEncoder(file).Encode(s); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(s.path+".new", s.path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync() // only now is the new name durable too
}

// file is one that is being sent, read where it lies, or one that is arriving: NAME.part until it is whole.
type file struct {
	*os.File
	user, name, part string
}

func openFile(user, path string) (*file, int64, error) {
	about, err := os.Stat(path) // opening a pipe would wait for its other end
	if err == nil && !about.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		return nil, 0, err
	}
	opened, err := os.Open(path)
	return &file{File: opened, user: user, name: filepath.Base(path)}, about.Size(), err
}

func newFile(user, name, folder string) (*file, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	opened, err := claim(folder, name, ".part")
	if err != nil {
		return nil, err
	}
	return &file{File: opened, user: user, name: name, part: opened.Name()}, nil
}

// claim makes a new file of this name, or of the first free one like it; nothing that exists is touched. The library made the
// name of an offer a safe one: no folder, no device, nothing that a shell or a terminal minds.
func claim(folder, name, ending string) (*os.File, error) {
	extension := filepath.Ext(name)
	stem := strings.TrimSuffix(name, extension)
	for number := 0; number < 1000; number++ {
		if number > 0 {
			name = fmt.Sprintf("%s (%d)%s", stem, number, extension)
		}
		made, err := os.OpenFile(filepath.Join(folder, name+ending), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return made, err
		}
	}
	return nil, fmt.Errorf("there are too many files like %s in %s", name, folder)
}

// keep gives a whole file its name.
func (f *file) keep(folder string) (string, error) {
	if err := f.Sync(); err != nil {
		return "", err
	}
	f.Close()
	place, err := claim(folder, f.name, "")
	if err != nil {
		return "", err
	}
	place.Close()
	return place.Name(), os.Rename(f.part, place.Name())
}

// drop closes a file, and removes what came of it.
func (f *file) drop() {
	f.Close()
	if f.part != "" {
		os.Remove(f.part)
	}
}
