//! What the gate says, word for word.
