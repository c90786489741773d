//! What is to be written to one connection, in two lanes.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// The most pieces that one write takes.
pub(crate) const SLICES: usize = 128;

/// Bytes that wait for one socket.
///
/// What is urgent (heartbeats, votes, answers, replies to clients) goes before entries, so it
/// waits for one frame at most. A frame that has begun is finished first: frames are never mixed.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// Whole frames, or several of them in one piece.
    urgent: VecDeque<Bytes>,
    /// Frames with entries, in pieces.
    bulk: VecDeque<Piece>,
    /// Whether a frame of the bulk lane has begun and isn't finished.
    in_bulk_frame: bool,
    urgent_bytes: usize,
    bulk_bytes: usize,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    ends_frame: bool,
}

impl Outbound {
    /// Queues whole frames that go before all entries.
    pub(crate) fn push_urgent(&mut self, frames: Bytes) {
        if !frames.is_empty() {
            self.urgent_bytes += frames.len();
            self.urgent.push_back(frames);
        }
    }

    /// Queues one frame, made of a head and pieces that are shared with others.
    pub(crate) fn push_bulk(&mut self, head: Bytes, body: impl IntoIterator<Item = Bytes>) {
        debug_assert!(!head.is_empty(), "a frame has a head");
        self.bulk_bytes += head.len();
        self.bulk.push_back(Piece { bytes: head, ends_frame: false });
        for bytes in body {
            if !bytes.is_empty() {
                self.bulk_bytes += bytes.len();
                self.bulk.push_back(Piece { bytes, ends_frame: false });
            }
        }
        if let Some(last) = self.bulk.back_mut() {
            last.ends_frame = true;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.bulk.is_empty()
    }

    /// How many bytes wait in the lane that goes first.
    pub(crate) const fn urgent_bytes(&self) -> usize {
        self.urgent_bytes
    }

    /// How many bytes of entries, and of what stands before them, wait.
    pub(crate) const fn bulk_bytes(&self) -> usize {
        self.bulk_bytes
    }

    /// What one write should take, in order.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let begun = self.begun_pieces();
        let pieces = |range| self.bulk.range(range).map(|piece: &Piece| &piece.bytes);
        let order = pieces(0..begun).chain(&self.urgent).chain(pieces(begun..self.bulk.len()));
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(order) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// So many bytes of what [`Outbound::slices`] gave were written.
    pub(crate) fn advance(&mut self, mut written: usize) {
        if self.in_bulk_frame {
            written = self.advance_bulk(written, true);
        }
        while written > 0
            && let Some(front) = self.urgent.front_mut()
        {
            let part = written.min(front.len());
            front.advance(part);
            if front.is_empty() {
                self.urgent.pop_front();
            }
            self.urgent_bytes -= part;
            written -= part;
        }
        let left = self.advance_bulk(written, false);
        debug_assert_eq!(left, 0, "more was written than was queued");
    }

    /// How many pieces from the first on belong to a frame that has begun.
    fn begun_pieces(&self) -> usize {
        if !self.in_bulk_frame {
            return 0;
        }
        let end = self.bulk.iter().position(|piece| piece.ends_frame);
        end.map_or(self.bulk.len(), |end| end + 1)
    }

    /// Takes written bytes off the bulk lane, those of one frame only if `one_frame`, and tells
    /// how many belong to what was behind.
    fn advance_bulk(&mut self, mut written: usize, one_frame: bool) -> usize {
        while written > 0
            && let Some(front) = self.bulk.front_mut()
        {
            let part = written.min(front.bytes.len());
            front.bytes.advance(part);
            self.bulk_bytes -= part;
            written -= part;
            if !front.bytes.is_empty() {
                self.in_bulk_frame = true;
                break;
            }
            self.in_bulk_frame = !front.ends_frame;
            self.bulk.pop_front();
            if one_frame && !self.in_bulk_frame {
                break;
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_lane_by_lane() {
        let mut out = Outbound::default();
        out.push_bulk(Bytes::from_static(b"head"), [Bytes::from_static(b"entries")]);
        out.push_urgent(Bytes::from_static(b"beat"));
        assert_eq!((out.urgent_bytes(), out.bulk_bytes()), (4, 11));
        out.advance(6);
        assert_eq!((out.urgent_bytes(), out.bulk_bytes()), (0, 9));
        out.advance(9);
        assert_eq!(out.bulk_bytes(), 0);
        assert!(out.is_empty());
    }

    /// Writes `most` bytes, as a socket that takes no more would.
    fn write(outbound: &mut Outbound, most: usize) -> String {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = outbound.slices(&mut slices);
        let all: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
        let taken = all[..most.min(all.len())].to_vec();
        outbound.advance(taken.len());
        String::from_utf8(taken).unwrap()
    }

    fn bulk(outbound: &mut Outbound, head: &'static str, body: &[&'static str]) {
        let body = body.iter().map(|piece| Bytes::from_static(piece.as_bytes()));
        outbound.push_bulk(Bytes::from_static(head.as_bytes()), body);
    }

    #[test]
    fn what_is_urgent_goes_first_but_never_into_a_frame_that_has_begun() {
        let mut outbound = Outbound::default();
        bulk(&mut outbound, "<a", &["bcd", "ef>"]);
        bulk(&mut outbound, "<g", &["h>"]);
        assert_eq!(write(&mut outbound, 4), "<abc");
        outbound.push_urgent(Bytes::from_static(b"[1]"));
        outbound.push_urgent(Bytes::from_static(b"[2]"));
        assert_eq!(write(&mut outbound, 6), "def>[1");
        outbound.push_urgent(Bytes::from_static(b"[3]"));
        assert_eq!(write(&mut outbound, 100), "][2][3]<gh>");
        assert!(outbound.is_empty());
        assert_eq!(outbound.urgent_bytes(), 0);
    }

    #[test]
    fn any_way_of_cutting_the_writes_gives_whole_frames_in_their_lanes_order() {
        for step in 1..8 {
            let mut outbound = Outbound::default();
            let mut sent = String::new();
            for round in 0..6 {
                bulk(&mut outbound, "<", &["aa", "bbb>"]);
                sent += &write(&mut outbound, step);
                if round % 2 == 0 {
                    outbound.push_urgent(Bytes::from_static(b"[u]"));
                }
                sent += &write(&mut outbound, step);
            }
            while !outbound.is_empty() {
                sent += &write(&mut outbound, step);
            }
            assert_eq!(sent.replace("<aabbb>", "").replace("[u]", ""), "", "{step}: {sent}");
            assert_eq!(outbound.urgent_bytes(), 0);
        }
    }

    #[test]
    fn an_empty_piece_changes_nothing() {
        let mut outbound = Outbound::default();
        bulk(&mut outbound, "<", &["", "x>", ""]);
        outbound.push_urgent(Bytes::new());
        assert_eq!(write(&mut outbound, 1), "<");
        outbound.push_urgent(Bytes::from_static(b"[1]"));
        assert_eq!(write(&mut outbound, 100), "x>[1]");
        assert!(outbound.is_empty());
    }
}
