//! Writing the content of a snapshot.

use std::fmt;

use bytes::{Buf, BytesMut};

use super::part::{End, Head, Part};
use super::state::State;

/// The state at one index as bytes, which [`Loader`](super::Loader) reads: the content of a
/// snapshot.
///
/// Replicas with the same state behind the same entry give the same bytes, whatever the way to
/// it was. An image holds a clone of the state; that costs nothing at first, see [`State`].
///
/// ```
/// use bytes::BytesMut;
/// use raft_node::kv::{Loader, Machine};
///
/// let mut image = Machine::new().image();
/// let mut loader = Loader::new();
/// let mut piece = BytesMut::new();
/// while {
///     piece.clear();
///     let more = image.next(&mut piece, 61_440);
///     loader.take(&piece)?;
///     more
/// } {}
/// assert_eq!(loader.finish()?.state_hash(), Machine::new().state_hash());
/// # Ok::<(), raft_node::kv::LoadError>(())
/// ```
pub struct Image {
    state: State,
    place: Place,
    /// What stands before the place and had no room in the pieces so far.
    rest: BytesMut,
    /// The answers written so far.
    answers: u64,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Head,
    /// The sessions behind this name.
    Sessions(Vec<u8>),
    /// The keys behind this one.
    Keys(Vec<u8>),
    End,
    Nothing,
}

/// A piece that is being filled.
struct Piece<'a> {
    out: &'a mut BytesMut,
    /// How long `out` may become.
    end: usize,
    /// What has no room in `out`.
    rest: &'a mut BytesMut,
}

impl State {
    /// The content of a snapshot of this state.
    #[must_use]
    pub fn image(&self) -> Image {
        Image { state: self.clone(), place: Place::Head, rest: BytesMut::new(), answers: 0 }
    }
}

impl Image {
    /// Appends the next bytes to `out`, `max_bytes` of them (at least 1) or all that are left,
    /// and tells whether there are more. How the content is cut doesn't change it.
    ///
    /// It takes the time of copying these bytes and of finding one key in the state. Where a
    /// value, or a session with its answers, is longer than the piece, that is copied as well: 8
    /// MiB at most.
    pub fn next(&mut self, out: &mut BytesMut, max_bytes: usize) -> bool {
        let mut piece = Piece { end: out.len() + max_bytes, out, rest: &mut self.rest };
        piece.move_rest();
        while self.place != Place::Nothing && piece.has_room() {
            self.place = match &self.place {
                Place::Head => {
                    piece.put_head(&self.state);
                    Place::Sessions(Vec::new())
                }
                Place::Sessions(name) => match piece.put_session_behind(name, &self.state) {
                    Some((name, answers)) => {
                        self.answers += answers;
                        Place::Sessions(name)
                    }
                    None => Place::Keys(Vec::new()),
                },
                Place::Keys(key) => match piece.put_keys_behind(key, &self.state) {
                    Some(key) => Place::Keys(key),
                    None => Place::End,
                },
                Place::End => {
                    piece.put(&Part::End(End {
                        sessions: self.state.sessions(),
                        answers: self.answers,
                        keys: self.state.keys(),
                        hash: self.state.state_hash(),
                    }));
                    Place::Nothing
                }
                Place::Nothing => Place::Nothing,
            };
        }
        self.place != Place::Nothing || !self.rest.is_empty()
    }
}

impl Piece<'_> {
    fn has_room(&self) -> bool {
        self.rest.is_empty() && self.out.len() < self.end
    }

    fn move_rest(&mut self) {
        let moved = self.rest.len().min(self.end - self.out.len());
        self.out.extend_from_slice(&self.rest[..moved]);
        self.rest.advance(moved);
    }

    /// Appends a part, or as much of it as has room.
    fn put(&mut self, part: &Part<'_>) {
        if self.rest.is_empty() && part.encoded_bytes() <= self.end - self.out.len() {
            part.encode(self.out);
        } else {
            part.encode(self.rest);
            self.move_rest();
        }
    }

    fn put_head(&mut self, state: &State) {
        self.put(&Part::Head(Head {
            feature_level: state.feature_level,
            applied: state.applied,
            log_time: state.log_time,
            forgotten: state.sessions.forgotten(),
            settings: &state.settings.encode(),
        }));
    }

    /// Appends the session behind this name, if there is one, and gives its name and how many
    /// answers it has.
    fn put_session_behind(&mut self, name: &[u8], state: &State) -> Option<(Vec<u8>, u64)> {
        let (session, answers) = state.sessions.behind(name).next()?;
        self.put(&Part::Session(session));
        let mut count = 0;
        for answer in answers {
            self.put(&Part::Answer(answer));
            count += 1;
        }
        Some((session.name.to_vec(), count))
    }

    /// Appends keys behind this one while there is room, and gives the last of them, if there was
    /// one.
    fn put_keys_behind(&mut self, key: &[u8], state: &State) -> Option<Vec<u8>> {
        let mut last = None;
        for (key, item) in state.store.behind(key) {
            self.put(&Part::Key(key, item));
            last = Some(key);
            if !self.has_room() {
                break;
            }
        }
        last.map(<[u8]>::to_vec)
    }
}

impl fmt::Debug for Image {
    /// Not the state itself, which may be large.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("applied", &self.state.applied)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
