//! `tapdiff exchanges` on real captures, judged by the checker that lies beside them.
//!
//! The captures are no part of this project (their licences differ): they are looked for in the
//! folder named by `TAPDIFF_CORPUS`, or in `../shared/corpus` beside the workspace. Where they are
//! not, every test says so and checks nothing.
//!
//! | file | owns |
//! |---|---|
//! | `shared` | the corpus, `tapdiff exchanges`, and the checker's verdict |
//! | `whole` | what tapdiff makes of the captures as they are |
//! | `damaged` | what it makes of them with packets lost, doubled, moved or cut |

#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

mod damaged;
mod shared;
mod whole;
