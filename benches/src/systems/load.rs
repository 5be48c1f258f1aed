//! Messages through a server: how many, how fast, at what cost to it.

use super::process::Process;
use polling::{Event, Events, PollMode, Poller};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// One user of a server: a protocol between bytes and messages. What it has to send is given by `flush`.
pub trait Messenger {
    /// Sends the message of this number to whoever it is for.
    fn publish(&mut self, number: u64);
    /// Takes bytes, and notes the numbers of the messages in them.
    fn receive(&mut self, bytes: &[u8], delivered: &mut Vec<u64>);
    /// Appends what there is to be written.
    fn flush(&mut self, wire: &mut Vec<u8>);
}

/// A messenger on its socket.
pub struct Connection {
    socket: TcpStream,
    messenger: Box<dyn Messenger>,
    wire: Vec<u8>,
    written: usize,
    waits: bool,
}

impl Connection {
    /// Takes a socket on which everything is said that comes before the first message.
    pub fn new(socket: TcpStream, messenger: impl Messenger + 'static) -> Self {
        socket.set_nonblocking(true).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, messenger: Box::new(messenger), wire: Vec::new(), written: 0, waits: false }
    }

    /// Writes what the socket takes.
    fn flush(&mut self) {
        self.messenger.flush(&mut self.wire);
        while self.written < self.wire.len() {
            match self.socket.write(&self.wire[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the server ended the connection: {error}"),
            }
        }
        self.wire.clear();
        self.written = 0;
    }

    fn interest(&self, key: usize) -> Event {
        if self.wire.is_empty() { Event::readable(key) } else { Event::all(key) }
    }
}

/// What is to be done.
pub struct Plan {
    /// The first so many connections send.
    pub senders: usize,
    /// How many receive each message.
    pub receivers: usize,
    /// Messages of one sender that are under way at once.
    pub window: u64,
    /// Messages of one sender in all. The first quarter warms everybody up and does not count.
    pub messages: u64,
}

/// How it went.
pub struct Outcome {
    /// Messages that arrived.
    pub deliveries: usize,
    /// How long it took.
    pub time: Duration,
    /// From publishing to arrival: half of the messages took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The server's processor time.
    pub cpu: Duration,
}

/// The bits of a message's number that count; those above name its sender.
const SENDER: u32 = 40;

struct Sender {
    sent: Vec<Instant>,
    delivered: u64,
}

impl Plan {
    /// Sends everything and waits until it has arrived.
    pub fn run(&self, connections: &mut [Connection], server: &Process) -> Outcome {
        let poller = Poller::new().unwrap();
        for (key, connection) in connections.iter_mut().enumerate() {
            connection.waits = false;
            // SAFETY: the socket is taken out of the poller below, before either is gone.
            unsafe { poller.add_with_mode(&connection.socket, Event::readable(key), PollMode::Level).unwrap() };
        }
        let mut senders: Vec<_> = (0..self.senders).map(|_| Sender { sent: Vec::new(), delivered: 0 }).collect();
        let all = self.senders * self.receivers * self.messages as usize;
        let warm = all / 4;
        let mut arrived = 0;
        let mut latencies = Vec::with_capacity(all);
        let (mut cpu, mut began) = (server.cpu(), Instant::now());
        for (key, sender) in senders.iter_mut().enumerate() {
            for _ in 0..self.window.min(self.messages) {
                publish(&mut connections[key], key, sender);
            }
            connections[key].flush();
        }
        let (mut events, mut input, mut delivered) = (Events::new(), vec![0; 1 << 16], Vec::new());
        let mut touched: Vec<usize> = (0..senders.len()).collect();
        while arrived < all {
            for key in touched.drain(..) {
                let connection = &mut connections[key];
                connection.flush();
                if connection.waits == connection.wire.is_empty() {
                    connection.waits = !connection.waits;
                    poller.modify_with_mode(&connection.socket, connection.interest(key), PollMode::Level).unwrap();
                }
            }
            events.clear();
            let some = poller.wait(&mut events, Some(Duration::from_secs(20))).unwrap();
            assert!(some > 0, "{arrived} of {all} messages arrived");
            for event in events.iter() {
                touched.push(event.key);
                if !event.readable {
                    continue;
                }
                let connection = &mut connections[event.key];
                let count = match connection.socket.read(&mut input) {
                    Ok(0) => panic!("the server ended a connection"),
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => panic!("{error}"),
                };
                connection.messenger.receive(&input[..count], &mut delivered);
                let now = Instant::now();
                for number in delivered.drain(..) {
                    let (key, count) = ((number >> SENDER) as usize, number & ((1 << SENDER) - 1));
                    let sender = &mut senders[key];
                    latencies.push(now - sender.sent[count as usize]);
                    arrived += 1;
                    if arrived == warm {
                        latencies.clear();
                        (cpu, began) = (server.cpu(), Instant::now());
                    }
                    sender.delivered += 1;
                    if sender.delivered % self.receivers as u64 == 0 && (sender.sent.len() as u64) < self.messages {
                        publish(&mut connections[key], key, sender);
                        touched.push(key);
                    }
                }
            }
        }
        let (time, cpu) = (began.elapsed(), server.cpu() - cpu);
        connections.iter().for_each(|connection| poller.delete(&connection.socket).unwrap());
        latencies.sort_unstable();
        let part = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        Outcome { deliveries: all - warm, time, p50: part(50), p99: part(99), cpu }
    }
}

fn publish(connection: &mut Connection, key: usize, sender: &mut Sender) {
    connection.messenger.publish((key as u64) << SENDER | sender.sent.len() as u64);
    sender.sent.push(Instant::now());
}
