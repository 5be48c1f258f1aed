// securechat from Node: as much of the C library as a chat client needs, over koffi.
//
// Each method is the function of its name in securechat.h, which is the manual. What fails throws a SecurechatError with the
// status; everything that the library lends is copied at once.
'use strict';

const koffi = require('koffi');
const path = require('node:path');

const file = { darwin: 'libsecurechat.dylib', win32: 'securechat.dll' }[process.platform] ?? 'libsecurechat.so';
const library = koffi.load(process.env.SECURECHAT_LIB ? path.join(process.env.SECURECHAT_LIB, file) : file);

koffi.opaque('securechat_client');
koffi.struct('securechat_record', { key: 'void *', key_len: 'size_t', value: 'void *', value_len: 'size_t' });
koffi.struct('securechat_client_info', {
  identity: koffi.array('uint8_t', 32), fingerprint: koffi.array('uint8_t', 32), generation: 'uint64_t', unsent: 'uint64_t',
  registered: 'uint32_t', reserved: 'uint32_t',
});
koffi.struct('securechat_address', {
  host: koffi.array('char', 256), fingerprint: koffi.array('uint8_t', 32), port: 'uint32_t', pinned: 'uint32_t',
});
const EVENT = koffi.struct('securechat_event', {
  kind: 'uint32_t', link: 'uint32_t', status: 'int32_t', code: 'uint32_t', request: 'uint32_t', trust: 'uint32_t',
  presence: 'uint32_t', flags: 'uint32_t', message: 'uint32_t', seconds: 'uint32_t', connection: 'uint64_t', time: 'uint64_t',
  chunk: 'uint64_t', offset: 'uint64_t', length: 'uint64_t', total: 'uint64_t',
  id: koffi.array('uint8_t', 16), file: koffi.array('uint8_t', 16), target: koffi.array('uint8_t', 16),
  device: koffi.array('uint8_t', 32), fingerprint: koffi.array('uint8_t', 32), expected: koffi.array('uint8_t', 32),
  user: 'void *', user_len: 'size_t', data: 'void *', data_len: 'size_t', name: 'void *', name_len: 'size_t',
  media_type: 'void *', media_type_len: 'size_t', ids: 'void *', ids_count: 'size_t', devices: 'void *', devices_count: 'size_t',
  removed: 'void *', removed_count: 'size_t', group: koffi.array('char', 40),
});

const declare = (result, name, parameters) => library.func(`${result} securechat_${name}(${parameters})`);
const statusName = declare('const char *', 'status_name', 'int32_t status');
const statusMessage = declare('const char *', 'status_message', 'int32_t status');
const lookUp = declare('int32_t', 'constant', 'const char *name, size_t len, _Out_ uint64_t *value');
const parse = declare('int32_t', 'address_parse', 'const char *from, size_t len, _Out_ securechat_address *address, size_t size');
const free = declare('void', 'client_free', 'securechat_client *client');
const errorText = declare('const char *', 'client_error', 'securechat_client *client');
const create = declare('int32_t', 'client_new', 'void *config, const char *user, size_t user_len, const uint8_t *key, ' +
  'securechat_record *records, size_t count, uint32_t history, uint64_t generation, uint64_t now, _Out_ securechat_client **client');
const client = Object.fromEntries(Object.entries({
  next_save: '_Out_ securechat_record *record',
  save_done: '',
  about: '_Out_ securechat_client_info *info, size_t size',
  register: 'const char *password, size_t len, uint64_t now',
  list_users: 'uint64_t now',
  safety_number: 'const char *name, size_t len, uint64_t now, uint8_t *digits',
  send: 'const char *to, size_t to_len, uint32_t message, const uint8_t *target, const uint8_t *data, size_t len, ' +
    'uint64_t now, uint8_t *id',
  send_file: 'const char *to, size_t to_len, const char *name, size_t name_len, uint64_t size, const char *media_type, ' +
    'size_t media_type_len, uint64_t now, uint8_t *file, uint8_t *id',
  supply_file: 'const uint8_t *file, uint64_t chunk, const uint8_t *data, size_t len, uint64_t now',
  accept_file: 'const uint8_t *file, uint64_t now',
  cancel_file: 'const uint8_t *file, uint64_t now',
  connect_relay: 'const char *address, size_t len, uint64_t now, _Out_ uint32_t *link',
  close_link: 'uint32_t link, uint64_t now',
  input: 'uint32_t link, const uint8_t *data, size_t len, uint64_t now',
  end: 'uint32_t link, uint64_t now',
  read_output: 'uint32_t link, uint8_t *buffer, size_t size, _Out_ size_t *length',
  tick: 'uint64_t now, _Out_ uint64_t *next',
  next_event: '_Out_ securechat_event *event, size_t size',
}).map(([name, parameters]) => {
  const all = ['securechat_client *client', parameters].filter(Boolean).join(', ');
  return [name, declare('int32_t', `client_${name}`, all)];
}));

const known = new Map();
function named(name) {
  if (!known.has(name)) {
    const value = [0];
    check(lookUp(name, name.length, value));
    known.set(name, value[0]);
  }
  return known.get(name);
}

/** A constant of the header without its prefix: `constant('EVENT_MESSAGE')`. */
const constant = (name) => named(`SECURECHAT_${name}`);

class SecurechatError extends Error {
  constructor(status, detail) {
    super(detail || statusMessage(status));
    this.status = status;
    this.name = statusName(status);
  }
}

function check(status, handle) {
  if (status !== 0) throw new SecurechatError(status, handle && errorText(handle));
}

// A struct that was copied wrongly shows here and not as garbage later; a newer library may have more at its end.
for (const name of ['securechat_record', 'securechat_client_info', 'securechat_address', 'securechat_event']) {
  if (koffi.sizeof(name) > named(`sizeof ${name}`)) throw new Error(`${name} is not as the library has it`);
}

/** The clock in milliseconds, which never runs backwards. */
let last = 0;
const now = () => (last = Math.max(last, Date.now()));

const copied = (pointer, length) => (length === 0 ? Buffer.alloc(0) : Buffer.from(koffi.decode(pointer, 'uint8_t', length)));
const size = (text) => Buffer.byteLength(text);

/** `host:port#fingerprint` as its parts. */
function parseAddress(text) {
  const address = {};
  check(parse(text, size(text), address, koffi.sizeof('securechat_address')));
  return address;
}

class Client {
  #handle;

  /** `records` are [key, value] pairs, all that `save` ever gave and did not delete. */
  constructor(user, key, records) {
    if (key.length !== 32) throw new RangeError('the key has 32 bytes');
    const array = records.map(([name, value]) => {
      return { key: Buffer.from(name), key_len: size(name), value, value_len: value.length };
    });
    const place = [null];
    check(create(null, user, size(user), key, array, array.length, constant('HISTORY_CONTINUED'), 0, now(), place));
    this.#handle = place[0];
  }

  free() {
    free(this.#handle);
    this.#handle = null;
  }

  #call(name, ...parameters) {
    check(client[name](this.#handle, ...parameters), this.#handle);
  }

  /** Hands what is to be saved to `store`, as [key, value or null] pairs, and says that it is durable when that returns. */
  save(store) {
    const records = [];
    for (;;) {
      const record = {};
      this.#call('next_save', record);
      if (!record.key) break;
      records.push([copied(record.key, record.key_len).toString(), record.value && copied(record.value, record.value_len)]);
    }
    if (records.length === 0) return false;
    store(records);
    this.#call('save_done');
    return true;
  }

  about() {
    const info = {};
    this.#call('about', info, koffi.sizeof('securechat_client_info'));
    return { unsent: Number(info.unsent), registered: info.registered === 1, fingerprint: Buffer.from(info.fingerprint) };
  }

  register(password) { this.#call('register', password, size(password), now()); }
  listUsers() { this.#call('list_users', now()); }

  safetyNumber(name) {
    const digits = Buffer.alloc(61);
    this.#call('safety_number', name, size(name), now(), digits);
    return digits.toString('latin1', 0, 60);
  }

  sendText(to, text) {
    const [data, id] = [Buffer.from(text), Buffer.alloc(16)];
    this.#call('send', to, size(to), constant('MESSAGE_TEXT'), null, data, data.length, now(), id);
    return id;
  }

  /** Offers a file and gives its number. */
  sendFile(to, name, bytes) {
    const [number, id, type] = [Buffer.alloc(16), Buffer.alloc(16), 'application/octet-stream'];
    this.#call('send_file', to, size(to), name, size(name), bytes, type, size(type), now(), number, id);
    return number;
  }

  supplyFile(number, chunk, data) { this.#call('supply_file', number, chunk, data, data.length, now()); }
  acceptFile(number) { this.#call('accept_file', number, now()); }
  cancelFile(number) { this.#call('cancel_file', number, now()); }

  connectRelay(address) {
    const link = [0];
    this.#call('connect_relay', address, size(address), now(), link);
    return link[0];
  }

  closeLink(link) { this.#call('close_link', link, now()); }
  input(link, data) { this.#call('input', link, data, data.length, now()); }
  end(link) { this.#call('end', link, now()); }

  /** Takes what is to be written, 64 KiB at most: a copy, for `socket.write` outlives the call. */
  readOutput(link) {
    const [buffer, length] = [Buffer.allocUnsafe(65536), [0]];
    this.#call('read_output', link, buffer, buffer.length, length);
    return buffer.subarray(0, Number(length[0]));
  }

  /** Does what is due, and says in how many milliseconds something is again; Infinity when nothing is. */
  tick() {
    const next = [0];
    this.#call('tick', now(), next);
    return typeof next[0] === 'bigint' ? Infinity : next[0] - now();
  }

  /** The next event, or null. Texts are strings, everything else that has a length is a Buffer. */
  nextEvent() {
    const event = {};
    this.#call('next_event', event, koffi.sizeof(EVENT));
    if (event.kind === constant('EVENT_NONE')) return null;
    for (const field of ['id', 'file', 'target', 'device', 'fingerprint', 'expected']) event[field] = Buffer.from(event[field]);
    for (const field of ['user', 'name', 'media_type']) event[field] = copied(event[field], event[`${field}_len`]).toString();
    event.data = copied(event.data, event.data_len);
    return event;
  }
}

module.exports = { Client, SecurechatError, constant, parseAddress, statusMessage };
