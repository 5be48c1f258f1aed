// A small chat for the terminal, on the C library: texts and files through a relay, to users and groups.
//
//     SECURECHAT_PASSPHRASE=… SECURECHAT_PASSWORD=… node chat.js USER 'host:port#fingerprint' STATE-FILE DOWNLOADS
//
// The passphrase protects the saved state, the password is that of the account.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');
const { Client, SecurechatError, constant, parseAddress, statusMessage } = require('./securechat.js');

const HELP = `/pm USER TEXT      a text to a user or a #group; a line without a command goes there again
/file USER PATH    offer a file
/accept [NUMBER]   take an offered file
/users             who is there
/verify USER       the safety number, to be compared with what the other one sees
/quit              as the end of the input: when everything is sent`;
const WRITTEN_AHEAD = 1 << 20; // bytes that may wait in the socket
const EVENT = Object.fromEntries(['VERIFY', 'OPEN', 'LINK_CLOSED', 'LOGGED_IN', 'REFUSED', 'USER', 'USER_UNKNOWN', 'LISTS_AGREE',
  'KEYS_CHANGED', 'MESSAGE', 'FAILED', 'DELIVERED', 'FILE_OFFERED', 'FILE_NEED', 'FILE_CHUNK', 'FILE_SENT', 'FILE_RECEIVED',
  'FILE_FAILED', 'GROUP_JOINED'].map((name) => [name, constant(`EVENT_${name}`)]));

/** Prints a line. What others wrote may hold control characters that a terminal obeys: they are replaced. */
const say = (line) => console.log(line.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd'));

/** In which group it came, and what has to be said of that. */
function where(event) {
  if (!event.group) return '';
  const late = event.flags & constant('FLAG_BEFORE_REMOVAL');
  return ` in ${event.group}${late ? ' (who did not know yet of a removal: who was removed may read this)' : ''}`;
}

/** The records of a client in one file, which is replaced as a whole: a save is there completely or not at all. */
class Store {
  constructor(file) {
    this.file = file;
    const kept = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : { records: {} };
    this.salt = kept.salt ? Buffer.from(kept.salt, 'base64') : crypto.randomBytes(16);
    this.records = new Map(Object.entries(kept.records).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
  }

  /** The passphrase made into a key, slowly: whoever has the file has to pay for each guess. */
  key(passphrase) {
    return crypto.scryptSync(passphrase, this.salt, 32, { N: 2 ** 16, r: 8, p: 1, maxmem: 2 ** 27 });
  }

  save(changes) {
    for (const [key, value] of changes) {
      if (value === null) this.records.delete(key);
      else this.records.set(key, value);
    }
    const records = Object.fromEntries([...this.records].map(([key, value]) => [key, value.toString('base64')]));
    const descriptor = fs.openSync(`${this.file}.new`, 'w', 0o600);
    fs.writeFileSync(descriptor, JSON.stringify({ salt: this.salt.toString('base64'), records }));
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
    fs.renameSync(`${this.file}.new`, this.file);
    const folder = fs.openSync(path.dirname(path.resolve(this.file)), 'r');
    fs.fsyncSync(folder); // only now is the new name durable too
    fs.closeSync(folder);
  }
}

/** A new empty file of this name, or of the first free one like it; nothing that exists is touched. */
function claim(folder, name, ending) {
  const { name: stem, ext } = path.parse(name);
  for (let number = 0; number < 1000; number++) {
    const file = path.join(folder, `${stem}${number ? ` (${number})` : ''}${ext}${ending}`);
    try {
      return [file, fs.openSync(file, 'wx', 0o600)];
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
  throw new Error(`there are too many files like ${name} in ${folder}`);
}

class Chat {
  constructor(user, relay, state, downloads) {
    Object.assign(this, { user, relay, downloads, socket: null, link: null, failures: 0, ended: false, status: 0, partner: '' });
    this.offers = [];
    this.files = new Map(); // those under way, by their number in hexadecimal
    const store = new Store(state);
    this.client = new Client(user, store.key(process.env.SECURECHAT_PASSPHRASE), [...store.records]);
    this.store = (changes) => store.save(changes);
    this.dial();
  }

  // The connection.

  dial() {
    const { host, port } = parseAddress(this.relay);
    this.socket = net.connect({ host, port, noDelay: true });
    this.socket.on('connect', () => this.act(() => (this.link = this.client.connectRelay(this.relay))));
    this.socket.on('data', (data) => this.act(() => this.client.input(this.link, data)));
    this.socket.on('drain', () => this.act(() => {}));
    this.socket.on('error', (error) => say(`not connected: ${error.message}`));
    this.socket.on('close', () => this.act(() => {
      if (this.link !== null) this.client.end(this.link);
      [this.socket, this.link] = [null, null];
      if (!this.ended) setTimeout(() => this.dial(), Math.min(1000 * 2 ** this.failures++, 60_000));
    }));
  }

  /** Does something with the client, then what follows from it: save, write, handle, until there is nothing of either. */
  act(work) {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SecurechatError) && !error.code) throw error;
      say(error.message);
    }
    clearTimeout(this.timer);
    let due = this.client.tick();
    for (;;) {
      const saved = this.client.save(this.store);
      const written = this.write();
      const event = this.client.nextEvent();
      if (event) this.handle(event);
      else if (!saved && !written) break;
      else due = this.client.tick();
    }
    if (Number.isFinite(due)) this.timer = setTimeout(() => this.act(() => {}), Math.min(Math.max(due, 0), 2 ** 31 - 1));
    const { registered, unsent } = this.client.about();
    const idle = registered && unsent === 0 && this.files.size === 0;
    if (this.status || (this.ended && idle)) this.stop();
  }

  write() {
    if (this.link === null || this.socket.writableLength > WRITTEN_AHEAD) return false;
    const data = this.client.readOutput(this.link);
    if (data.length > 0) this.socket.write(data);
    return data.length > 0;
  }

  stop() {
    if (this.link !== null) this.client.closeLink(this.link);
    this.client.save(this.store);
    this.write();
    this.client.free();
    this.act = () => {};
    clearTimeout(this.timer);
    this.socket?.end(() => process.exit(this.status));
    if (!this.socket) process.exit(this.status);
  }

  // What happens.

  handle(event) {
    const { user, name } = event;
    switch (event.kind) {
      case EVENT.OPEN:
        this.failures = 0;
        if (!this.client.about().registered) this.client.register(process.env.SECURECHAT_PASSWORD);
        break;
      case EVENT.VERIFY:
        say(event.flags & constant('FLAG_EXPECTED')
          ? `the key of the relay HAS CHANGED: expected ${event.expected.toString('hex')}`
          : 'if this fingerprint is right, put it behind the address, after a #');
        say(`the relay shows the fingerprint ${event.fingerprint.toString('hex')}`);
        this.client.closeLink(event.link);
        this.status = 6;
        break;
      case EVENT.LINK_CLOSED:
        if (event.status) say(`the connection ended: ${statusMessage(event.status)}`);
        this.link = null;
        this.socket?.end();
        break;
      case EVENT.LOGGED_IN:
        say(event.flags & constant('FLAG_LISTED') ? `logged in as ${this.user}` : 'another device of yours has to approve this one');
        break;
      case EVENT.REFUSED:
        say(`the relay refused (${event.code})`);
        if (event.request === constant('REQUEST_REGISTER')) this.status = 4;
        break;
      case EVENT.USER: if (user) say(`${user} is ${event.presence === constant('PRESENCE_OFFLINE') ? 'offline' : 'there'}`); break;
      case EVENT.USER_UNKNOWN: say(`there is no user ${user} here`); break;
      case EVENT.LISTS_AGREE: say(`/verify ${user} can show the safety number now`); break;
      case EVENT.KEYS_CHANGED: say(`the keys of ${user} HAVE CHANGED: nothing is sent to them any more`); break;
      case EVENT.MESSAGE:
        if (event.message === constant('MESSAGE_TEXT')) {
          say(`${user}${event.trust === constant('TRUST_VIOLATION') ? ' (KEYS CHANGED)' : ''}${where(event)}: ${event.data}`);
        }
        break;
      case EVENT.FAILED: say(`a message cannot be sent: ${statusMessage(event.status)}`); break;
      case EVENT.DELIVERED: say(`${user} received ${event.ids_count}`); break;
      case EVENT.FILE_OFFERED:
        this.offers.push(event);
        say(`${user}${where(event)} offers ${name} (${event.total} bytes): /accept ${this.offers.length} takes it`);
        break;
      case EVENT.GROUP_JOINED:
        say(`you are in ${event.group}${event.flags & constant('FLAG_OPEN') ? ' (open: whoever can register at the relay reads it, its operator included)' : ''}`);
        break;
      case EVENT.FILE_NEED: this.move(event, (file) => this.supply(file, event)); break;
      case EVENT.FILE_CHUNK: this.move(event, (file) => fs.writeSync(file.descriptor, event.data, 0, event.data.length, event.offset)); break;
      case EVENT.FILE_SENT: this.close(event.file, (file) => say(`${file.name} is sent to ${file.user}`)); break;
      case EVENT.FILE_RECEIVED: this.close(event.file, (file) => this.keep(file)); break;
      case EVENT.FILE_FAILED: this.close(event.file, (file) => this.lose(file, statusMessage(event.status))); break;
    }
  }

  // Files. One from before a restart is not open any more and has to be offered again.

  move(event, work) {
    const file = this.files.get(event.file.toString('hex'));
    try {
      if (file) work(file);
      else this.client.cancelFile(event.file);
    } catch (error) {
      this.client.cancelFile(event.file);
      this.close(event.file, () => this.lose(file, error.message));
    }
  }

  supply(file, event) {
    const data = Buffer.alloc(event.length);
    const count = fs.readSync(file.descriptor, data, 0, data.length, event.offset);
    this.client.supplyFile(event.file, event.chunk, data.subarray(0, count));
  }

  close(number, then) {
    const file = this.files.get(number.toString('hex'));
    if (!file) return;
    this.files.delete(number.toString('hex'));
    if (file.part) fs.fsyncSync(file.descriptor);
    fs.closeSync(file.descriptor);
    then(file);
  }

  keep(file) {
    const [place, descriptor] = claim(this.downloads, file.name, '');
    fs.closeSync(descriptor);
    fs.renameSync(file.part, place);
    say(`saved from ${file.user}: ${place}`);
  }

  lose(file, reason) {
    if (file.part) fs.unlinkSync(file.part);
    say(`${file.name} (${file.user}) did not get through: ${reason}`);
  }

  sendFile(user, place) {
    const about = fs.statSync(place);
    if (!about.isFile()) return say(`${place} is not a file`);
    const file = { user, name: path.basename(place), descriptor: fs.openSync(place, 'r') };
    this.files.set(this.client.sendFile(user, file.name, about.size).toString('hex'), file);
  }

  accept(offer) {
    if (!offer) return say('there is no such offer');
    fs.mkdirSync(this.downloads, { recursive: true, mode: 0o700 });
    this.client.acceptFile(offer.file);
    // The library made the name of an offer a safe one: no folder, no device, nothing that a shell or a terminal minds.
    const [part, descriptor] = claim(this.downloads, offer.name, '.part');
    this.files.set(offer.file.toString('hex'), { user: offer.user, name: offer.name, part, descriptor });
  }

  // What people do.

  obey(line) {
    const [, command, name, rest] = /^(\/\S+)?\s*(\S*)\s*(.*)$/.exec(line);
    switch (command) {
      case '/pm': this.client.sendText((this.partner = name), rest); break;
      case '/file': this.sendFile(name, rest); break;
      case '/accept': this.accept(this.offers[Number(name || this.offers.length) - 1]); break;
      case '/users': this.client.listUsers(); break;
      case '/verify': say(`safety number with ${name}: ${this.client.safetyNumber(name).replace(/(.{5})(?=.)/g, '$1 ')}`); break;
      case '/quit': this.ended = true; break;
      case undefined:
        if (this.partner) this.client.sendText(this.partner, line);
        else say('to whom? /pm USER TEXT');
        break;
      default: console.log(HELP);
    }
  }
}

const [user, relay, state = `${user}.json`, downloads = 'downloads'] = process.argv.slice(2);
if (!relay || !process.env.SECURECHAT_PASSPHRASE || !process.env.SECURECHAT_PASSWORD) {
  console.error("SECURECHAT_PASSPHRASE=… SECURECHAT_PASSWORD=… node chat.js USER 'host:port#fingerprint' [STATE-FILE [DOWNLOADS]]");
  process.exit(2);
}
let chat;
try {
  chat = new Chat(user, relay, state, downloads);
} catch (error) {
  say(`cannot start: ${error.message}`);
  process.exit(5);
}
const input = readline.createInterface({ input: process.stdin });
input.on('line', (line) => line && chat.act(() => chat.obey(line)));
input.on('close', () => chat.act(() => (chat.ended = true)));
