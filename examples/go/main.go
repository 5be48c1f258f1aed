// A small chat for the terminal, on the C library: texts and files through a relay, to users and groups.
//
//	SECURECHAT_PASSPHRASE=… SECURECHAT_PASSWORD=… chat USER 'host:port#fingerprint' STATE-FILE DOWNLOADS
//
// The passphrase protects the saved state, the password is that of the account.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"securechat-example/securechat"
)

const help = `/pm USER TEXT      a text to a user or a #group; a line without a command goes there again
/file USER PATH    offer a file
/accept [NUMBER]   take an offered file
/users             who is there
/verify USER       the safety number, to be compared with what the other one sees
/quit              as the end of the input: when everything is sent`

// say prints a line. What others wrote may hold control characters that a terminal obeys: they are replaced.
func say(format string, values ...any) {
	fmt.Println(strings.Map(func(sign rune) rune {
		if unicode.IsPrint(sign) {
			return sign
		}
		return unicode.ReplacementChar
	}, fmt.Sprintf(format, values...)))
}

type chat struct {
	user, relay, password, downloads string
	client                           *securechat.Client
	store                            *store

	connection net.Conn
	link       uint32
	received   chan []byte // what came on the connection; closed at its end
	toWrite    chan []byte // for the goroutine that writes
	output     []byte      // what that one has not taken yet
	failures   int

	files   map[securechat.Number]*file
	offers  []*securechat.Event
	partner string
	status  int // how the program ends, when it has to
}

func main() {
	passphrase, password := os.Getenv("SECURECHAT_PASSPHRASE"), os.Getenv("SECURECHAT_PASSWORD")
	if len(os.Args) != 5 || passphrase == "" || password == "" {
		fmt.Fprintln(os.Stderr, "SECURECHAT_PASSPHRASE=… SECURECHAT_PASSWORD=… chat USER 'host:port#fingerprint' STATE-FILE DOWNLOADS")
		os.Exit(2)
	}
	store, err := openStore(os.Args[3])
	if err != nil {
		say("cannot start: %v", err)
		os.Exit(5)
	}
	client, err := securechat.New(os.Args[1], store.key(passphrase), store.Records)
	if err != nil {
		say("cannot start: %v", err)
		os.Exit(5)
	}
	c := &chat{user: os.Args[1], relay: os.Args[2], password: password, downloads: os.Args[4], client: client, store: store,
		files: map[securechat.Number]*file{}}
	if err := c.run(); err != nil {
		say("%v", err)
		os.Exit(5)
	}
	os.Exit(c.status)
}

// run is the one goroutine that uses the client. It ends with the input, when everything is sent.
func (c *chat) run() error {
	lines := make(chan string)
	go func() {
		for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
			lines <- scanner.Text()
		}
		close(lines)
	}()
	dial := time.After(0)
	for {
		due, err := c.settle()
		if err != nil {
			return err
		}
		registered, unsent := c.client.About()
		if idle := registered && unsent == 0 && len(c.files) == 0; c.status != 0 || lines == nil && idle {
			return c.stop()
		}
		// Sending on a channel that is nil waits for ever, which is right when there is nothing to write.
		var toWrite chan []byte
		if len(c.output) > 0 {
			toWrite = c.toWrite
		}
		select {
		case <-dial:
			err = c.dial()
		case data, open := <-c.received:
			if open {
				err = c.client.Input(c.link, data)
			} else {
				err = c.client.End(c.link)
				c.hangUp()
			}
		case toWrite <- c.output:
			c.output = nil
		case line, open := <-lines:
			if !open || line == "/quit" {
				lines = nil
			} else if line != "" {
				err = c.obey(line)
			}
		case <-time.After(due):
		}
		if err != nil {
			say("%v", err)
		}
		if c.connection == nil && (err != nil || c.received != nil) {
			c.received = nil
			dial = time.After(min(time.Second<<min(c.failures, 6), time.Minute))
			c.failures++
		}
	}
}

func min[T int | time.Duration](a, b T) T {
	if a < b {
		return a
	}
	return b
}

// settle saves, writes and handles events until there is nothing of either; in this order, so that nothing leaves unsaved.
func (c *chat) settle() (time.Duration, error) {
	due, err := c.client.Tick()
	for err == nil {
		var saved bool
		if saved, err = c.client.Save(c.store.save); err != nil {
			break
		}
		if c.connection != nil && len(c.output) == 0 {
			if c.output, err = c.client.ReadOutput(c.link); err != nil {
				break
			}
		}
		var event *securechat.Event
		if event, err = c.client.NextEvent(); err != nil {
			break
		}
		if event == nil && !saved {
			due, err = c.client.Tick()
			break
		}
		if event != nil {
			if err := c.handle(event); err != nil {
				say("%v", err)
			}
		}
	}
	return due, err
}

func (c *chat) dial() error {
	address, err := securechat.ParseAddress(c.relay)
	if err != nil {
		return err
	}
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(address.Host, strconv.Itoa(address.Port)), 10*time.Second)
	if err != nil {
		return fmt.Errorf("not connected: %w", err)
	}
	if c.link, err = c.client.ConnectRelay(c.relay); err != nil {
		connection.Close()
		return err
	}
	received, toWrite := make(chan []byte), make(chan []byte)
	c.connection, c.received, c.toWrite = connection, received, toWrite
	go func() {
		defer close(received)
		for {
			buffer := make([]byte, 65536)
			count, err := connection.Read(buffer)
			if count > 0 {
				received <- buffer[:count]
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		for data := range toWrite {
			if _, err := connection.Write(data); err != nil {
				connection.Close() // which the reader sees, and tells
			}
		}
		connection.Close()
	}()
	return nil
}

// hangUp closes the connection when what was given to its writer is written.
func (c *chat) hangUp() {
	if c.connection != nil {
		close(c.toWrite)
		go func(rest chan []byte) {
			for range rest { // the reader may be about to hand something over
			}
		}(c.received)
		c.connection, c.output = nil, nil
	}
}

func (c *chat) stop() error {
	if c.connection != nil {
		c.client.CloseLink(c.link)
		if _, err := c.settle(); err != nil {
			return err
		}
		if c.connection != nil && len(c.output) > 0 {
			c.connection.SetDeadline(time.Now().Add(5 * time.Second))
			c.connection.Write(c.output)
		}
		c.hangUp()
	}
	c.client.Free()
	return nil
}

func (c *chat) obey(line string) error {
	words := strings.SplitN(line, " ", 3)
	words = append(words, "", "")
	switch {
	case words[0] == "/pm":
		c.partner = words[1]
		_, err := c.client.SendText(words[1], words[2])
		return err
	case words[0] == "/file":
		return c.sendFile(words[1], words[2])
	case words[0] == "/accept":
		number, err := strconv.Atoi(words[1])
		if err != nil {
			number = len(c.offers)
		}
		if number < 1 || number > len(c.offers) {
			return errors.New("there is no such offer")
		}
		return c.accept(c.offers[number-1])
	case words[0] == "/users":
		return c.client.ListUsers()
	case words[0] == "/verify":
		digits, err := c.client.SafetyNumber(words[1])
		if err == nil {
			say("safety number with %s: %s", words[1], digits)
		}
		return err
	case strings.HasPrefix(line, "/"):
		fmt.Println(help)
		return nil
	case c.partner == "":
		return errors.New("to whom? /pm USER TEXT")
	default:
		_, err := c.client.SendText(c.partner, line)
		return err
	}
}

func (c *chat) sendFile(user, path string) error {
	file, size, err := openFile(user, path)
	if err != nil {
		return err
	}
	number, err := c.client.SendFile(user, filepath.Base(path), size)
	if err != nil {
		file.drop()
		return err
	}
	c.files[number] = file
	return nil
}
