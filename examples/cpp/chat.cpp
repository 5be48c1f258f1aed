// A small chat client in C++: texts and files through a relay, to users and groups, on securechat.hpp.
//
//     chat STATE NAME ADDRESS    STATE is the file of keys and sessions, ADDRESS the relay's host:port#fingerprint
//
// Commands: /register, /msg NAME TEXT, /file NAME PATH, /accept (all that is offered), /new GROUP, /invite #GROUP NAMES, /quit. A #GROUP
// may stand for NAME. Files land in the folder it was started
// in. The password at the relay comes from SECURECHAT_PASSWORD. The key of STATE is in the file STATE.key; a program for people
// keeps it in the system's key store, or asks for a passphrase as ../c/chat_client.c does.
#include "../c/net.h"
#include "../c/records.h"
#include "../c/show.h"
#include <cstring>
#include <iostream>
#include <map>
#include <poll.h>
#include <random>
#include <securechat.hpp>
#include <sstream>

namespace {

/// A file on its way: its name and, once it is under way, its descriptor.
struct transfer {
    std::string name;
    bool ours = false;
    int fd = -1;
};

class chat {
public:
    chat(const std::string &state, const std::string &name, const std::string &address)
        : client_(name, key_of(state + ".key"), open_store(state), now_ms()) {
        records_forget(&store_);
        securechat_address place = securechat::parse_address(address);
        fd_ = open_socket(place.host, std::to_string(place.port).c_str(), 0);
        set_nonblocking(fd_);
        link_ = client_.connect_relay(address, now_ms());
    }
    chat(const chat &) = delete;
    chat &operator=(const chat &) = delete;
    ~chat() {
        close(fd_);
        records_close(&store_);
    }

    /// Until the input ends and nothing waits: whether all went well.
    bool run() {
        for (std::string typed; !over_;) {
            bool unwritten = settle();
            std::size_t end = ready_ ? typed.find('\n') : std::string::npos;
            if (end != std::string::npos) {
                attempt([&] { command(typed.substr(0, end)); });
                typed.erase(0, end + 1);
                continue;
            }
            if (leaving_ && ready_ && !unwritten && !is_busy())
                client_.close_link(link_, now_ms()), settle(), over_ = true;
            std::uint64_t due = client_.tick(now_ms());
            pollfd polled[] = {{fd_, static_cast<short>(unwritten ? POLLIN | POLLOUT : POLLIN), 0}, {ready_ && !leaving_ ? 0 : -1, POLLIN, 0}};
            if (over_ || poll(polled, 2, wait_ms(due, 1000)) <= 0)
                continue;
            std::array<std::uint8_t, 16384> bytes;
            ssize_t got = polled[0].revents ? recv(fd_, bytes.data(), bytes.size(), 0) : -1;
            if (got > 0)
                client_.input(link_, {bytes.data(), static_cast<std::size_t>(got)}, now_ms());
            else if (polled[0].revents && (got == 0 || !is_later()))
                client_.end(link_, now_ms());
            if (polled[1].revents && (got = read(0, bytes.data(), bytes.size())) >= 0) {
                leaving_ = got == 0;
                typed.append(reinterpret_cast<char *>(bytes.data()), static_cast<std::size_t>(got));
                if (leaving_ && !typed.empty())
                    typed += '\n';
            }
        }
        settle();
        return !failed_ && leaving_;
    }

private:
    static securechat::key key_of(const std::string &path) {
        securechat::key key{};
        if (read_file(path.c_str(), key.data(), key.size()) != static_cast<ssize_t>(key.size())) {
            std::random_device source;
            for (std::uint8_t &byte : key)
                byte = static_cast<std::uint8_t>(source());
            replace_file(path.c_str(), key.data(), key.size());
        }
        return key;
    }

    std::vector<securechat::record> open_store(const std::string &path) {
        records_open(&store_, path.c_str());
        return {store_.list, store_.list + store_.count};
    }

    /// Does something that may fail without an end to the program.
    template <typename Work>
    void attempt(Work work) {
        try {
            work();
        } catch (const std::exception &wrong) {
            std::cout << wrong.what() << '\n';
            failed_ = true;
        }
    }

    bool is_busy() {
        for (const auto &[id, transfer] : transfers_)
            if (transfer.fd >= 0)
                return true;
        return client_.about().unsent > 0;
    }

    /// Saves, writes and tells until nothing is left. Whether there is more to write than the socket takes.
    bool settle() {
        for (;;) {
            securechat::record record;
            while (client_.next_save(record))
                records_put(&store_, &record);
            records_commit(&store_);
            client_.save_done();
            securechat::view out;
            for (ssize_t sent = 0; !(out = client_.output(link_)).empty() && sent >= 0;)
                if ((sent = send(fd_, out.data(), out.size(), MSG_NOSIGNAL)) > 0)
                    client_.output_consume(link_, static_cast<std::size_t>(sent));
            securechat::event event;
            bool told = false;
            for (; client_.next_event(event); told = true)
                attempt([&] { handle(event); });
            std::cout << std::flush;
            if (!told)
                return !out.empty();
        }
    }

    void handle(const securechat::event &event) {
        std::string user(securechat::user_of(event));
        securechat::id file = securechat::file_of(event);
        auto transfer = transfers_.find(file);
        switch (event.kind) {
        case SECURECHAT_EVENT_VERIFY:
            client_.close_link(link_, now_ms());
            throw std::runtime_error("the relay is not the one that ADDRESS names, or it names none");
        case SECURECHAT_EVENT_OPEN:
            ready_ = !client_.about().registered;
            break;
        case SECURECHAT_EVENT_LOGGED_IN:
            ready_ = true;
            std::cout << "logged in\n";
            break;
        case SECURECHAT_EVENT_REFUSED:
            ready_ = true;
            throw std::runtime_error("the relay refuses: code " + std::to_string(event.code));
        case SECURECHAT_EVENT_USER_UNKNOWN:
            throw std::runtime_error("there is no user " + user + " here");
        case SECURECHAT_EVENT_KEYS_CHANGED:
            throw std::runtime_error("the keys of " + user + " changed against the rules: nothing is sent to them");
        case SECURECHAT_EVENT_MESSAGE:
            if (event.message == SECURECHAT_MESSAGE_TEXT)
                print(user + where(event) + ": ", securechat::data_of(event).text());
            break;
        case SECURECHAT_EVENT_GROUP_JOINED:
            std::cout << "you are in " << event.group;
            std::cout << (event.flags & SECURECHAT_FLAG_OPEN ? " (open: whoever can register at the relay reads it, its operator included)\n" : "\n");
            break;
        case SECURECHAT_EVENT_FILE_OFFERED:
            print(user + where(event) + " offers ", securechat::name_of(event));
            transfers_[file].name = securechat::name_of(event);
            break;
        case SECURECHAT_EVENT_FILE_NEED: {
            securechat::bytes bytes(event.length);
            if (transfer != transfers_.end() &&
                pread(transfer->second.fd, bytes.data(), bytes.size(), static_cast<off_t>(event.offset)) == static_cast<ssize_t>(bytes.size()))
                client_.supply_file(file, event.chunk, bytes, now_ms());
            else
                client_.cancel_file(file, now_ms()); // it cannot be read, or this program was started anew
            break;
        }
        case SECURECHAT_EVENT_FILE_CHUNK:
            if (transfer == transfers_.end())
                client_.cancel_file(file, now_ms());
            else if (pwrite(transfer->second.fd, event.data, event.data_len, static_cast<off_t>(event.offset)) != static_cast<ssize_t>(event.data_len))
                throw std::runtime_error(std::string("cannot write: ") + std::strerror(errno));
            break;
        case SECURECHAT_EVENT_FILE_SENT:
        case SECURECHAT_EVENT_FILE_RECEIVED:
        case SECURECHAT_EVENT_FILE_FAILED:
            if (transfer != transfers_.end()) {
                auto ended = transfer->second;
                transfers_.erase(transfer);
                finish(ended, event.kind);
            }
            break;
        case SECURECHAT_EVENT_LINK_CLOSED:
            over_ = true;
            if (event.status != SECURECHAT_OK)
                throw securechat::error(static_cast<securechat::status>(event.status));
            break;
        }
    }

    /// A file that came whole gets its name, over nothing that is there; what came of another is dropped.
    void finish(const transfer &ended, std::uint32_t how) {
        std::string part = ended.name + ".part";
        int wrong = how == SECURECHAT_EVENT_FILE_RECEIVED && (fsync(ended.fd) != 0 || link(part.c_str(), ended.name.c_str()) != 0) ? errno : 0;
        close(ended.fd);
        if (wrong != 0)
            throw std::runtime_error("cannot save " + part + " as " + ended.name + ": " + strerror(wrong));
        if (!ended.ours)
            unlink(part.c_str());
        if (how == SECURECHAT_EVENT_FILE_FAILED)
            throw std::runtime_error(ended.name + ": the transfer failed");
        print(ended.ours ? "sent: " : "saved: ", ended.name);
    }

    /// In which group it came, and what has to be said of that.
    static std::string where(const securechat::event &event) {
        std::string group(securechat::group_of(event));
        if (group.empty())
            return group;
        return " in " + group + (event.flags & SECURECHAT_FLAG_BEFORE_REMOVAL ? " (who did not know yet of a removal: who was removed may read this)" : "");
    }

    void command(const std::string &line) {
        std::istringstream words(line);
        std::string verb, to, rest;
        words >> verb >> to >> std::ws;
        std::getline(words, rest);
        if (verb == "/register") {
            const char *password = std::getenv("SECURECHAT_PASSWORD");
            client_.register_account(password ? password : "", now_ms());
            ready_ = false;
        } else if (verb == "/msg" && !rest.empty()) {
            client_.send(to, rest, now_ms());
        } else if (verb == "/new" && !to.empty()) {
            std::cout << "the group is called " << client_.create_group(rest.empty() ? to : to + ' ' + rest, false, now_ms()) << '\n';
        } else if (verb == "/invite" && !rest.empty()) {
            client_.change_group(to, SECURECHAT_CHANGE_ADD, rest, now_ms());
        } else if (verb == "/file" && !rest.empty()) {
            int fd = open(rest.c_str(), O_RDONLY | O_CLOEXEC);
            off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
            if (size < 0)
                throw std::runtime_error("cannot read " + rest + ": " + std::strerror(errno));
            std::string name = rest.substr(rest.rfind('/') + 1);
            transfers_[client_.send_file(to, name, static_cast<std::uint64_t>(size), now_ms()).file] = {name, true, fd};
        } else if (verb == "/accept") {
            for (auto &[id, transfer] : transfers_) {
                if (transfer.ours || transfer.fd >= 0)
                    continue;
                int fd = open((transfer.name + ".part").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0)
                    throw std::runtime_error("cannot make " + transfer.name + ": " + std::strerror(errno));
                transfer.fd = fd;
                client_.accept_file(id, now_ms());
            }
        } else if (verb == "/quit") {
            leaving_ = true;
        } else if (!verb.empty()) {
            std::cout << "/register, /msg NAME|#GROUP TEXT, /file NAME|#GROUP PATH, /accept, /new GROUP, /invite #GROUP NAMES, /quit\n";
        }
    }

    static void print(const std::string &before, std::string_view written) {
        std::cout << before << std::flush;
        show(written.data(), written.size());
        std::puts("");
        std::fflush(stdout);
    }

    records store_{};
    securechat::client client_;
    std::map<securechat::id, transfer> transfers_;
    std::uint32_t link_ = 0;
    int fd_ = -1;
    bool ready_ = false, leaving_ = false, over_ = false, failed_ = false;
};

} // namespace

int main(int count, char **words) {
    if (count != 4)
        die("chat STATE NAME HOST:PORT#FINGERPRINT");
    try {
        return chat(words[1], words[2], words[3]).run() ? 0 : 1;
    } catch (const std::exception &wrong) {
        die("%s", wrong.what());
    }
}
