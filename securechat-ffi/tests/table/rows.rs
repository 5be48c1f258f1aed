//! Every exported function that returns a status: its arguments as C gives them, and what it says to good ones on a handle that was
//! just made. What is asked of all of them can so be asked one by one.

use crate::driver::*;
use crate::states::{self, Kind};

/// An argument, or a pointer with its length.
#[derive(Clone)]
pub enum Arg {
    /// A handle.
    On(Kind),
    /// Bytes and how many.
    In(Vec<u8>),
    /// A pointer that may be NULL.
    Optional(Vec<u8>),
    /// A pointer to a fixed number of bytes.
    Needed(Vec<u8>),
    /// Records and how many: none.
    NoRecords,
    /// What a relay starts with.
    Options,
    /// A number that can have any value.
    Number(u64),
    /// A number that chooses, and what an unknown one gives.
    Choice(u32, securechat_status),
    /// An out-parameter of so many bytes, zero after a failure.
    Out(usize),
    /// When to call again: never, after a failure.
    Next,
    /// An out-parameter for a new handle.
    Made(Kind),
    /// A struct that grows: its size, and the smallest that is taken.
    Struct(usize, usize),
    /// A buffer and its size; where the length goes follows.
    Buffer,
}

/// A function of the table.
pub struct Row {
    pub name: &'static str,
    pub args: Vec<Arg>,
    pub call: fn(&[usize]) -> securechat_status,
    /// What it says to good arguments.
    pub status: securechat_status,
}

/// What one argument of C is, once they are laid out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Slot {
    Handle,
    In,
    InLength,
    Optional,
    Needed,
    Number,
    Choice(securechat_status),
    Out(usize),
    Struct,
    StructSize(usize),
    Buffer,
    BufferSize,
}

/// The arguments of one call with all that they point to.
pub struct Laid {
    pub slots: Vec<usize>,
    pub kinds: Vec<Slot>,
    places: Vec<(usize, Box<[u64]>, u8, usize)>,
    inputs: Vec<Box<[u8]>>,
    options: Box<securechat_relay_options>,
    made: Vec<(usize, Kind)>,
    handles: Vec<(usize, Kind)>,
}

/// What stands in places that nothing was written to.
pub const UNWRITTEN: u8 = 0xEE;

impl Row {
    /// Arguments on fresh handles.
    pub fn lay(&self) -> Laid {
        self.lay_on(&|kind| states::fresh(kind))
    }

    pub fn lay_on(&self, handle: &dyn Fn(Kind) -> usize) -> Laid {
        let mut laid = Laid {
            slots: Vec::new(),
            kinds: Vec::new(),
            places: Vec::new(),
            inputs: Vec::new(),
            options: Box::new(options()),
            made: Vec::new(),
            handles: Vec::new(),
        };
        for arg in &self.args {
            match arg {
                Arg::On(kind) => {
                    let made = handle(*kind);
                    laid.handles.push((made, *kind));
                    laid.push(made, Slot::Handle);
                }
                Arg::In(bytes) => {
                    laid.input(bytes, Slot::In);
                    laid.push(bytes.len(), Slot::InLength);
                }
                Arg::Optional(bytes) => laid.input(bytes, Slot::Optional),
                Arg::Needed(bytes) => laid.input(bytes, Slot::Needed),
                Arg::NoRecords => {
                    laid.push(0, Slot::Optional);
                    laid.push(0, Slot::Number);
                }
                Arg::Options => {
                    let options = &raw const *laid.options as usize;
                    laid.push(options, Slot::Needed);
                }
                Arg::Number(number) => laid.push(*number as usize, Slot::Number),
                Arg::Choice(number, unknown) => laid.push(*number as usize, Slot::Choice(*unknown)),
                Arg::Out(size) => laid.place(*size, 0, Slot::Out(*size)),
                Arg::Next => laid.place(8, 0xFF, Slot::Out(8)),
                Arg::Made(kind) => {
                    laid.made.push((laid.places.len(), *kind));
                    laid.place(8, 0, Slot::Out(8));
                }
                Arg::Struct(size, least) => {
                    laid.place(*size, 0, Slot::Struct);
                    laid.push(*size, Slot::StructSize(*least));
                }
                Arg::Buffer => {
                    laid.push(0, Slot::Buffer);
                    laid.push(0, Slot::BufferSize);
                }
            }
        }
        laid
    }
}

impl Laid {
    fn push(&mut self, value: usize, slot: Slot) {
        self.slots.push(value);
        self.kinds.push(slot);
    }

    fn input(&mut self, bytes: &[u8], slot: Slot) {
        let bytes: Box<[u8]> = bytes.into();
        self.push(bytes.as_ptr() as usize, slot);
        self.inputs.push(bytes);
    }

    fn place(&mut self, size: usize, nothing: u8, slot: Slot) {
        let mut place = vec![u64::from_ne_bytes([UNWRITTEN; 8]); size.div_ceil(8)].into_boxed_slice();
        let pointer = place.as_mut_ptr() as usize;
        self.places.push((self.slots.len(), place, nothing, size));
        self.push(pointer, slot);
    }

    /// What stands in the place that a slot points to.
    pub fn bytes(&self, slot: usize) -> Vec<u8> {
        let (_, place, _, size) = self.places.iter().find(|(at, ..)| *at == slot).unwrap();
        // Volatile, since it was written to through a number.
        let words = place.iter().map(|word| unsafe { std::ptr::from_ref(word).read_volatile() });
        words.flat_map(u64::to_ne_bytes).take(*size).collect()
    }

    /// All out-parameters are nothing, but for the one of which C gave no place.
    pub fn assert_nothing(&self, but: Option<usize>, context: &str) {
        for (slot, _, nothing, size) in self.places.iter().filter(|(slot, ..)| Some(*slot) != but) {
            assert_eq!(self.bytes(*slot), vec![*nothing; *size], "{context}: argument {slot}");
        }
    }
}

impl Drop for Laid {
    fn drop(&mut self) {
        for (place, kind) in &self.made {
            let pointer = u64::from_ne_bytes(self.bytes(self.places[*place].0).try_into().unwrap()) as usize;
            if pointer != usize::from_ne_bytes([UNWRITTEN; 8]) {
                states::free(pointer, *kind);
            }
        }
        self.handles.iter().for_each(|(handle, kind)| states::free(*handle, *kind));
    }
}

macro_rules! call {
    ($f:ident $($i:tt)*) => { |a: &[usize]| unsafe { $f($(a[$i] as _),*) } };
}

macro_rules! row {
    ($f:ident($($i:tt)*) => $status:ident, $($arg:expr),*) => {
        Row { name: stringify!($f), args: vec![$($arg),*], call: call!($f $($i)*), status: $status }
    };
}

/// Functions that return no status: they have nothing to fail with. Those that free are in `nothing_is_freed_of_null`, those
/// that read a text in `texts_of_null`.
pub const WITHOUT_STATUS: [&str; 11] = [
    "securechat_version_number",
    "securechat_status_name",
    "securechat_status_message",
    "securechat_identity_free",
    "securechat_link_free",
    "securechat_link_error",
    "securechat_client_free",
    "securechat_client_error",
    "securechat_file_free",
    "securechat_relay_free",
    "securechat_relay_error",
];

/// The rest of the library.
pub fn rows() -> Vec<Row> {
    use Arg::*;
    use Kind::*;
    let known = states::known();
    let text = |text: &str| In(text.as_bytes().to_vec());
    let now = || Number(NOW);
    let event = || Struct(size_of::<securechat_event>(), 4);
    let config = || Optional(states::config_bytes());
    let id = || Needed(vec![5; 16]);
    let key = || Needed(vec![5; 32]);
    vec![
        row!(securechat_constant(0 1 2) => SECURECHAT_OK, text("SECURECHAT_FILE_PAGE"), Out(8)),
        row!(securechat_config_default(0 1) => SECURECHAT_OK, Struct(size_of::<securechat_config>(), 32)),
        row!(securechat_identity_generate(0 1 2) => SECURECHAT_OK, config(), now(), Made(Identity)),
        row!(securechat_identity_import(0 1 2 3 4) => SECURECHAT_OK, config(), In(known.identity.clone()), now(), Made(Identity)),
        row!(securechat_identity_export(0 1 2 3) => SECURECHAT_OK, On(Identity), Buffer, Out(8)),
        row!(securechat_identity_bundle(0 1 2 3) => SECURECHAT_OK, On(Identity), Buffer, Out(8)),
        row!(securechat_bundle_read(0 1 2 3) => SECURECHAT_OK, In(known.bundle.clone()), Struct(size_of::<securechat_bundle>(), 1)),
        row!(securechat_safety_number(0 1 2 3 4 5 6 7 8) => SECURECHAT_OK,
            text("alice"), Needed(vec![1; 32]), Number(1), text("bob"), Needed(vec![2; 32]), Number(1), Out(61)),
        row!(securechat_address_parse(0 1 2 3) => SECURECHAT_OK, text("relay.example:1"), Struct(size_of::<securechat_address>(), 1)),
        row!(securechat_link_new(0 1 2 3 4 5 6) => SECURECHAT_OK,
            config(), Choice(1, SECURECHAT_ERR_ARGUMENT), Choice(0, SECURECHAT_ERR_ARGUMENT), On(Identity), Optional(vec![1; 32]), now(), Made(Link)),
        row!(securechat_link_input(0 1 2 3) => SECURECHAT_OK, On(Link), In(vec![0; 3]), now()),
        row!(securechat_link_end(0) => SECURECHAT_ERR_TRUNCATION, On(Link)),
        row!(securechat_link_output(0 1 2) => SECURECHAT_OK, On(Link), Out(8), Out(8)),
        row!(securechat_link_output_consume(0 1) => SECURECHAT_OK, On(Link), Number(0)),
        row!(securechat_link_read_output(0 1 2 3) => SECURECHAT_OK, On(Link), Buffer, Out(8)),
        row!(securechat_link_next_event(0 1 2) => SECURECHAT_OK, On(Link), event()),
        row!(securechat_link_tick(0 1 2) => SECURECHAT_OK, On(Link), now(), Next),
        row!(securechat_link_send(0 1 2) => SECURECHAT_OK, On(Link), text("hello")),
        row!(securechat_link_accept(0 1 2) => SECURECHAT_ERR_WRONG_STATE, On(Link), key(), now()),
        row!(securechat_link_close(0 1) => SECURECHAT_OK, On(Link), Choice(0, SECURECHAT_ERR_ARGUMENT)),
        row!(securechat_client_new(0 1 2 3 4 5 6 7 8 9) => SECURECHAT_OK,
            config(), text("alice"), key(), NoRecords, Choice(0, SECURECHAT_ERR_ARGUMENT), Number(0), now(), Made(Client)),
        row!(securechat_client_about(0 1 2) => SECURECHAT_OK, On(Client), Struct(size_of::<securechat_client_info>(), 1)),
        row!(securechat_client_next_save(0 1) => SECURECHAT_OK, On(Client), Out(size_of::<securechat_record>())),
        row!(securechat_client_save_done(0) => SECURECHAT_OK, On(Client)),
        row!(securechat_client_rekey(0 1) => SECURECHAT_OK, On(Client), key()),
        row!(securechat_client_seal(0 1 2 3 4 5 6 7) => SECURECHAT_OK, On(Client), text("note"), text("data"), Buffer, Out(8)),
        row!(securechat_client_open(0 1 2 3 4 5 6 7) => SECURECHAT_OK, On(Client), text("note"), In(known.sealed.clone()), Buffer, Out(8)),
        row!(securechat_client_connect_relay(0 1 2 3 4) => SECURECHAT_OK, On(Client), text("relay.example:1"), now(), Out(4)),
        row!(securechat_client_connect_peer(0 1 2 3 4) => SECURECHAT_OK,
            On(Client), Choice(0, SECURECHAT_ERR_ARGUMENT), Optional(vec![1; 32]), now(), Out(4)),
        row!(securechat_client_accept_link(0 1 2 3) => SECURECHAT_ERR_NOT_CONNECTED, On(Client), Number(1), key(), now()),
        row!(securechat_client_close_link(0 1 2) => SECURECHAT_OK, On(Client), Number(1), now()),
        row!(securechat_client_input(0 1 2 3 4) => SECURECHAT_OK, On(Client), Number(1), In(vec![0; 3]), now()),
        row!(securechat_client_end(0 1 2) => SECURECHAT_OK, On(Client), Number(1), now()),
        row!(securechat_client_output(0 1 2 3) => SECURECHAT_OK, On(Client), Number(1), Out(8), Out(8)),
        row!(securechat_client_output_consume(0 1 2) => SECURECHAT_OK, On(Client), Number(1), Number(0)),
        row!(securechat_client_read_output(0 1 2 3 4) => SECURECHAT_OK, On(Client), Number(1), Buffer, Out(8)),
        row!(securechat_client_tick(0 1 2) => SECURECHAT_OK, On(Client), now(), Next),
        row!(securechat_client_next_event(0 1 2) => SECURECHAT_OK, On(Client), event()),
        row!(securechat_client_enter(0 1 2 3) => SECURECHAT_ERR_NOT_CONNECTED, On(Client), text("a password"), now()),
        row!(securechat_client_register(0 1 2 3) => SECURECHAT_ERR_NOT_CONNECTED, On(Client), text("a password"), now()),
        row!(securechat_client_log_in(0 1 2 3 4) => SECURECHAT_ERR_NOT_CONNECTED, On(Client), text("a password"), Number(1), now()),
        row!(securechat_client_change_password(0 1 2 3 4 5) => SECURECHAT_ERR_NOT_CONNECTED,
            On(Client), text("a password"), text("another one"), now()),
        row!(securechat_client_set_up_code(0 1 2 3 4) => SECURECHAT_ERR_NOT_CONNECTED, On(Client), text("a password"), Number(1), now()),
        row!(securechat_client_confirm_code(0 1 2) => SECURECHAT_ERR_NOT_CONNECTED, On(Client), Number(1), now()),
        row!(securechat_client_list_users(0 1) => SECURECHAT_ERR_NOT_LOGGED_IN, On(Client), now()),
        row!(securechat_client_set_presence(0 1 2) => SECURECHAT_ERR_NOT_LOGGED_IN, On(Client), Choice(2, SECURECHAT_ERR_ARGUMENT), now()),
        row!(securechat_client_list_device(0 1 2 3) => SECURECHAT_ERR_NOT_FOUND, On(Client), key(), Choice(1, SECURECHAT_ERR_ARGUMENT), now()),
        row!(securechat_client_start_over(0 1) => SECURECHAT_ERR_WRONG_STATE, On(Client), now()),
        row!(securechat_client_look_up(0 1 2 3) => SECURECHAT_ERR_NOT_LOGGED_IN, On(Client), text("carol"), now()),
        row!(securechat_client_contact(0 1 2 3 4 5) => SECURECHAT_OK,
            On(Client), text("bob"), Number(0), Struct(size_of::<securechat_contact>(), 1)),
        row!(securechat_client_safety_number(0 1 2 3 4) => SECURECHAT_ERR_DEVICE_LIST_OUT_OF_DATE, On(Client), text("bob"), now(), Out(61)),
        row!(securechat_client_mark_verified(0 1 2 3) => SECURECHAT_OK, On(Client), text("bob"), now()),
        row!(securechat_client_accept_keys(0 1 2 3 4) => SECURECHAT_ERR_NOT_FOUND, On(Client), text("bob"), key(), now()),
        row!(securechat_client_send(0 1 2 3 4 5 6 7 8) => SECURECHAT_OK,
            On(Client), text("bob"), Choice(1, SECURECHAT_ERR_CONTENT_KIND), Optional(vec![1; 16]), text("hello"), now(), Out(16)),
        row!(securechat_client_send_file(0 1 2 3 4 5 6 7 8 9 10) => SECURECHAT_OK,
            On(Client), text("bob"), text("a.txt"), Number(5), text("text/plain"), now(), Out(16), Out(16)),
        row!(securechat_client_supply_file(0 1 2 3 4 5) => SECURECHAT_ERR_NOT_FOUND, On(Client), id(), Number(0), text("data"), now()),
        row!(securechat_client_accept_file(0 1 2) => SECURECHAT_ERR_NOT_FOUND, On(Client), id(), now()),
        row!(securechat_client_create_group(0 1 2 3 4 5) => SECURECHAT_OK,
            On(Client), text("a walk"), Choice(0, SECURECHAT_ERR_ARGUMENT), now(), Out(SECURECHAT_GROUP_SIZE)),
        row!(securechat_client_change_group(0 1 2 3 4 5 6) => SECURECHAT_OK,
            On(Client), text(&known.group), Choice(SECURECHAT_CHANGE_ADD, SECURECHAT_ERR_ARGUMENT), text("carol dora"), now()),
        row!(securechat_client_group(0 1 2 3 4 5) => SECURECHAT_OK,
            On(Client), text(&known.group), Number(0), Struct(size_of::<securechat_group>(), 1)),
        row!(securechat_client_pause_file(0 1 2 3) => SECURECHAT_OK, On(Client), id(), Choice(1, SECURECHAT_ERR_ARGUMENT), now()),
        row!(securechat_client_transfer(0 1 2 3 4) => SECURECHAT_OK,
            On(Client), Optional(known.file.to_vec()), Number(0), Struct(size_of::<securechat_transfer>(), 1)),
        row!(securechat_client_cancel_file(0 1 2) => SECURECHAT_OK, On(Client), id(), now()),
        row!(securechat_file_new(0 1 2 3 4 5 6 7 8) => SECURECHAT_OK,
            config(), Choice(1, SECURECHAT_ERR_ARGUMENT), Choice(0, SECURECHAT_ERR_ARGUMENT), Number(4), text("a.txt"), text("text/plain"), Made(Sender)),
        row!(securechat_file_open(0 1 2 3 4 5 6) => SECURECHAT_OK,
            config(), Choice(1, SECURECHAT_ERR_ARGUMENT), In(known.offer.clone()), In(known.page.clone()), Made(Receiver)),
        row!(securechat_file_about(0 1 2) => SECURECHAT_OK, On(Sender), Struct(size_of::<securechat_file_info>(), 1)),
        row!(securechat_file_offer(0 1 2 3) => SECURECHAT_OK, On(Sender), Buffer, Out(8)),
        row!(securechat_file_seal_chunk(0 1 2 3 4 5 6) => SECURECHAT_OK, On(Sender), Number(0), In(states::CONTENTS.to_vec()), Buffer, Out(8)),
        row!(securechat_file_open_chunk(0 1 2 3 4 5 6) => SECURECHAT_OK, On(Receiver), Number(0), In(known.chunk.clone()), Buffer, Out(8)),
        row!(securechat_file_next_missing(0 1 2 3) => SECURECHAT_OK, On(Receiver), Number(0), Out(8), Out(8)),
        row!(securechat_file_finish(0 1) => SECURECHAT_ERR_WRONG_STATE, On(Receiver), key()),
        row!(securechat_file_save(0 1 2 3 4) => SECURECHAT_OK, On(Sender), Number(0), Buffer, Out(8)),
        row!(securechat_relay_new(0 1 2 3 4 5 6) => SECURECHAT_OK, config(), On(Identity), Options, NoRecords, now(), Made(Relay)),
        row!(securechat_relay_tick(0 1 2) => SECURECHAT_OK, On(Relay), now(), Next),
        row!(securechat_relay_shutdown(0 1) => SECURECHAT_OK, On(Relay), now()),
        row!(securechat_relay_connect(0 1 2 3) => SECURECHAT_OK, On(Relay), Needed(vec![1; 16]), now(), Out(8)),
        row!(securechat_relay_input(0 1 2 3 4) => SECURECHAT_OK, On(Relay), Number(1), In(vec![0; 3]), now()),
        row!(securechat_relay_end(0 1 2) => SECURECHAT_OK, On(Relay), Number(1), now()),
        row!(securechat_relay_output(0 1 2 3) => SECURECHAT_OK, On(Relay), Number(1), Out(8), Out(8)),
        row!(securechat_relay_output_consume(0 1 2) => SECURECHAT_OK, On(Relay), Number(1), Number(0)),
        row!(securechat_relay_read_output(0 1 2 3 4) => SECURECHAT_OK, On(Relay), Number(1), Buffer, Out(8)),
        row!(securechat_relay_next_event(0 1 2) => SECURECHAT_OK, On(Relay), event()),
        row!(securechat_relay_next_job(0 1 2) => SECURECHAT_OK, On(Relay), Struct(size_of::<securechat_job>(), 16)),
        // Of job 1, a hash that the state has open.
        row!(securechat_relay_complete_job(0 1 2 3 4 5) => SECURECHAT_OK,
            On(Relay), Number(states::JOB), Choice(0, SECURECHAT_ERR_ARGUMENT), text("hash"), now()),
    ]
}
