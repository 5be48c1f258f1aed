// Package securechat is as much of the C library as a chat client needs, over cgo.
//
// Each method is the function of its name in securechat.h, which is the manual. Everything that the library lends is copied at
// once. A Client is for one goroutine at a time.
package securechat

// #cgo LDFLAGS: -lsecurechat
// #include <securechat.h>
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"math"
	"time"
	"unsafe"
)

// Error says why a call failed.
type Error struct {
	Status int32
	Detail string
}

func (e *Error) Error() string { return e.Detail }

// StatusMessage is what a status means, in a sentence.
func StatusMessage(status int32) string {
	return C.GoString(C.securechat_status_message(C.int32_t(status)))
}

// What a chat looks at in events; the rest is in the header.
const (
	EventVerify       = C.SECURECHAT_EVENT_VERIFY
	EventOpen         = C.SECURECHAT_EVENT_OPEN
	EventLinkClosed   = C.SECURECHAT_EVENT_LINK_CLOSED
	EventLoggedIn     = C.SECURECHAT_EVENT_LOGGED_IN
	EventRefused      = C.SECURECHAT_EVENT_REFUSED
	EventUser         = C.SECURECHAT_EVENT_USER
	EventUserUnknown  = C.SECURECHAT_EVENT_USER_UNKNOWN
	EventListsAgree   = C.SECURECHAT_EVENT_LISTS_AGREE
	EventKeysChanged  = C.SECURECHAT_EVENT_KEYS_CHANGED
	EventMessage      = C.SECURECHAT_EVENT_MESSAGE
	EventDelivered    = C.SECURECHAT_EVENT_DELIVERED
	EventFailed       = C.SECURECHAT_EVENT_FAILED
	EventFileOffered  = C.SECURECHAT_EVENT_FILE_OFFERED
	EventFileNeed     = C.SECURECHAT_EVENT_FILE_NEED
	EventFileChunk    = C.SECURECHAT_EVENT_FILE_CHUNK
	EventFileSent     = C.SECURECHAT_EVENT_FILE_SENT
	EventFileReceived = C.SECURECHAT_EVENT_FILE_RECEIVED
	EventFileFailed   = C.SECURECHAT_EVENT_FILE_FAILED
	EventGroupJoined  = C.SECURECHAT_EVENT_GROUP_JOINED

	FlagListed        = C.SECURECHAT_FLAG_LISTED
	FlagExpected      = C.SECURECHAT_FLAG_EXPECTED
	FlagOpen          = C.SECURECHAT_FLAG_OPEN
	FlagBeforeRemoval = C.SECURECHAT_FLAG_BEFORE_REMOVAL
	MessageText       = C.SECURECHAT_MESSAGE_TEXT
	PresenceOffline   = C.SECURECHAT_PRESENCE_OFFLINE
	RequestRegister   = C.SECURECHAT_REQUEST_REGISTER
	TrustViolation    = C.SECURECHAT_TRUST_VIOLATION
)

// Number names a file or a message.
type Number [16]byte

// Event is something that happened: the header says which fields each kind sets.
type Event struct {
	Kind, Link, Code, Request, Trust, Presence, Flags, Message uint32
	Status                                                     int32
	Chunk, Offset, Length, Total                               uint64
	ID, File                                                   Number
	Fingerprint, Expected                                      [32]byte
	User, Name, Group                                          string
	Data                                                       []byte
	IDs                                                        int
}

// Record is one change of the saved state: a value to put, or nil to delete.
type Record struct {
	Key   string
	Value []byte
}

// Address is an address of a relay: host:port#fingerprint.
type Address struct {
	Host string
	Port int
}

// now is the time in Unix milliseconds, which never runs backwards.
func (c *Client) now() C.uint64_t {
	if now := C.uint64_t(time.Now().UnixMilli()); now > c.last {
		c.last = now
	}
	return c.last
}

// The library copies what it is given before it returns, so that Go's memory can be lent for the call.
func lent(data []byte) (*C.uint8_t, C.size_t) {
	if len(data) == 0 {
		return nil, 0
	}
	return (*C.uint8_t)(unsafe.Pointer(&data[0])), C.size_t(len(data))
}

func text(value string) (*C.char, C.size_t) {
	data, length := lent([]byte(value))
	return (*C.char)(unsafe.Pointer(data)), length
}

func copied(data *C.uint8_t, length C.size_t) []byte {
	return C.GoBytes(unsafe.Pointer(data), C.int(length))
}

func copiedText(data *C.char, length C.size_t) string { return C.GoStringN(data, C.int(length)) }

// ParseAddress reads an address.
func ParseAddress(from string) (Address, error) {
	var made C.securechat_address
	data, length := text(from)
	if status := C.securechat_address_parse(data, length, &made, C.size_t(unsafe.Sizeof(made))); status != 0 {
		return Address{}, &Error{int32(status), StatusMessage(int32(status))}
	}
	return Address{C.GoString(&made.host[0]), int(made.port)}, nil
}

// Client is one device of one user.
type Client struct {
	handle *C.securechat_client
	last   C.uint64_t
}

// New makes a client of the records that Save ever gave and did not delete. Free it with Free.
func New(user string, key [32]byte, records map[string][]byte) (*Client, error) {
	// C may not be given memory of Go that points to more of it: the records are copied.
	array := unsafe.Slice((*C.securechat_record)(C.calloc(C.size_t(len(records)+1), C.sizeof_securechat_record)), len(records)+1)
	at := 0
	for name, value := range records {
		array[at] = C.securechat_record{(*C.char)(C.CBytes([]byte(name))), C.size_t(len(name)),
			(*C.uint8_t)(C.CBytes(value)), C.size_t(len(value))}
		at++
	}
	defer func() {
		for _, record := range array {
			C.free(unsafe.Pointer(record.key))
			C.free(unsafe.Pointer(record.value))
		}
		C.free(unsafe.Pointer(&array[0]))
	}()
	made := &Client{}
	data, length := text(user)
	status := C.securechat_client_new(nil, data, length, (*C.uint8_t)(&key[0]), &array[0], C.size_t(at),
		C.SECURECHAT_HISTORY_CONTINUED, 0, made.now(), &made.handle)
	if status != 0 {
		return nil, &Error{int32(status), StatusMessage(int32(status))}
	}
	return made, nil
}

// Free wipes the keys. Nothing works on the client afterwards.
func (c *Client) Free() {
	C.securechat_client_free(c.handle)
	c.handle = nil
}

func (c *Client) check(status C.securechat_status) error {
	if status == 0 {
		return nil
	}
	return &Error{int32(status), C.GoString(C.securechat_client_error(c.handle))}
}

// Save hands what is to be saved to store, as one transaction, and says that it is durable when that succeeds.
func (c *Client) Save(store func([]Record) error) (bool, error) {
	var records []Record
	for {
		var record C.securechat_record
		if err := c.check(C.securechat_client_next_save(c.handle, &record)); err != nil {
			return false, err
		}
		if record.key == nil {
			break
		}
		next := Record{Key: copiedText(record.key, record.key_len)}
		if record.value != nil {
			next.Value = copied(record.value, record.value_len)
		}
		records = append(records, next)
	}
	if len(records) == 0 {
		return false, nil
	}
	if err := store(records); err != nil {
		return false, fmt.Errorf("the state cannot be saved: %w", err)
	}
	return true, c.check(C.securechat_client_save_done(c.handle))
}

// About says whether this device has an account, and how many messages wait to be sent.
func (c *Client) About() (registered bool, unsent uint64) {
	var info C.securechat_client_info
	C.securechat_client_about(c.handle, &info, C.size_t(unsafe.Sizeof(info)))
	return info.registered == 1, uint64(info.unsent)
}

func (c *Client) Register(password string) error {
	data, length := text(password)
	return c.check(C.securechat_client_register(c.handle, data, length, c.now()))
}

func (c *Client) ListUsers() error { return c.check(C.securechat_client_list_users(c.handle, c.now())) }

func (c *Client) SafetyNumber(user string) (string, error) {
	var digits [C.SECURECHAT_SAFETY_NUMBER_DIGITS + 1]C.char
	data, length := text(user)
	err := c.check(C.securechat_client_safety_number(c.handle, data, length, c.now(), &digits[0]))
	return C.GoString(&digits[0]), err
}

func (c *Client) SendText(to, message string) (id Number, err error) {
	user, userLength := text(to)
	data, length := lent([]byte(message))
	err = c.check(C.securechat_client_send(c.handle, user, userLength, MessageText, nil, data, length, c.now(), (*C.uint8_t)(&id[0])))
	return id, err
}

func (c *Client) SendFile(to, name string, size int64) (file Number, err error) {
	user, userLength := text(to)
	data, length := text(name)
	kind, kindLength := text("application/octet-stream")
	var id Number
	err = c.check(C.securechat_client_send_file(c.handle, user, userLength, data, length, C.uint64_t(size), kind, kindLength, c.now(),
		(*C.uint8_t)(&file[0]), (*C.uint8_t)(&id[0])))
	return file, err
}

func (c *Client) SupplyFile(file Number, chunk uint64, content []byte) error {
	data, length := lent(content)
	return c.check(C.securechat_client_supply_file(c.handle, (*C.uint8_t)(&file[0]), C.uint64_t(chunk), data, length, c.now()))
}

func (c *Client) AcceptFile(file Number) error {
	return c.check(C.securechat_client_accept_file(c.handle, (*C.uint8_t)(&file[0]), c.now()))
}

func (c *Client) CancelFile(file Number) error {
	return c.check(C.securechat_client_cancel_file(c.handle, (*C.uint8_t)(&file[0]), c.now()))
}

func (c *Client) ConnectRelay(address string) (uint32, error) {
	var link C.uint32_t
	data, length := text(address)
	err := c.check(C.securechat_client_connect_relay(c.handle, data, length, c.now(), &link))
	return uint32(link), err
}

func (c *Client) CloseLink(link uint32) error {
	return c.check(C.securechat_client_close_link(c.handle, C.uint32_t(link), c.now()))
}

func (c *Client) Input(link uint32, bytes []byte) error {
	data, length := lent(bytes)
	return c.check(C.securechat_client_input(c.handle, C.uint32_t(link), data, length, c.now()))
}

func (c *Client) End(link uint32) error {
	return c.check(C.securechat_client_end(c.handle, C.uint32_t(link), c.now()))
}

// ReadOutput takes what is to be written, 64 KiB at most.
func (c *Client) ReadOutput(link uint32) ([]byte, error) {
	buffer := make([]byte, 65536)
	data, size := lent(buffer)
	var length C.size_t
	err := c.check(C.securechat_client_read_output(c.handle, C.uint32_t(link), data, size, &length))
	return buffer[:length], err
}

// Tick does what is due and says how long there is time until something is again.
func (c *Client) Tick() (time.Duration, error) {
	var next C.uint64_t
	err := c.check(C.securechat_client_tick(c.handle, c.now(), &next))
	left := int64(next - c.now())
	if next == math.MaxUint64 || left > int64(time.Hour/time.Millisecond) {
		return time.Hour, err
	}
	return time.Duration(left) * time.Millisecond, err
}

// NextEvent gives the next event, or nil.
func (c *Client) NextEvent() (*Event, error) {
	var e C.securechat_event
	if err := c.check(C.securechat_client_next_event(c.handle, &e, C.size_t(unsafe.Sizeof(e)))); err != nil || e.kind == 0 {
		return nil, err
	}
	return &Event{
		Kind: uint32(e.kind), Link: uint32(e.link), Code: uint32(e.code), Request: uint32(e.request), Trust: uint32(e.trust), Presence: uint32(e.presence),
		Flags: uint32(e.flags), Message: uint32(e.message), Status: int32(e.status),
		Chunk: uint64(e.chunk), Offset: uint64(e.offset), Length: uint64(e.length), Total: uint64(e.total),
		ID: *(*Number)(unsafe.Pointer(&e.id)), File: *(*Number)(unsafe.Pointer(&e.file)),
		Fingerprint: *(*[32]byte)(unsafe.Pointer(&e.fingerprint)), Expected: *(*[32]byte)(unsafe.Pointer(&e.expected)),
		User: copiedText(e.user, e.user_len), Name: copiedText(e.name, e.name_len), Group: C.GoString(&e.group[0]), Data: copied(e.data, e.data_len),
		IDs: int(e.ids_count),
	}, nil
}
