//! The replicated machine: an ordered map of bytes to bytes, changed only by committed commands.
