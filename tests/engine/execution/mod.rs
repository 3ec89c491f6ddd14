//! How work is carried out: in turn, in batches, in time, renewed, handed back, called off and tried again.

mod age;
mod batches;
mod crossed;
mod doubt;
mod ends;
mod groups;
mod kept;
mod late;
mod lost;
mod narrow;
mod people;
