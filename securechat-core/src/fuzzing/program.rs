//! An input read as steps: what a target does, and in which order, is the fuzzer's to choose.

/// Steps in one run at the most: a run stays short, and what it holds small.
const STEPS: usize = 96;

/// What is left of an input.
pub(super) struct Program<'a> {
    rest: &'a [u8],
    steps: usize,
}

impl<'a> Program<'a> {
    /// The program of these bytes.
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest, steps: 0 }
    }

    /// The next step; none when the program is over.
    pub(super) fn step(&mut self) -> Option<u8> {
        self.steps += 1;
        if self.steps > STEPS { None } else { self.next() }
    }

    /// An argument, which is zero behind the end.
    pub(super) fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    /// An argument below `n`; zero if there is none.
    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()).checked_rem(n).unwrap_or_default()
    }

    /// A place in something of this length, which may have more than 256.
    pub(super) fn place(&mut self, length: usize) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()])).checked_rem(length).unwrap_or_default()
    }

    /// Some bytes, their length before them; fewer at the end.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        taken
    }

    /// Bytes that fill as much as is asked for: a length in one step of a table, so that short programs make long ones.
    pub(super) fn filling(&mut self) -> Vec<u8> {
        const LENGTHS: [usize; 8] = [0, 1, 16, 200, 300, 5_000, 20_000, 55_000];
        let length = LENGTHS.get(self.below(LENGTHS.len())).copied().unwrap_or_default();
        vec![self.byte(); length]
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

/// What is done to bytes on their way.
pub(super) fn tamper(bytes: &mut Vec<u8>, program: &mut Program<'_>) {
    let place = program.place(bytes.len());
    match program.byte() % 5 {
        0 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << (program.byte() % 8)),
        1 => bytes.truncate(place),
        2 => _ = bytes.splice(place..place, program.bytes().iter().copied()),
        3 => {
            let end = (place + program.below(64)).min(bytes.len());
            _ = bytes.drain(place..end);
        }
        _ => bytes.iter_mut().skip(place).zip(program.bytes()).for_each(|(byte, new)| *byte = *new),
    }
}
