//! How work is carried out: in turn, in batches, renewed, handed back, called off and tried again.

mod age;
mod batches;
mod doubt;
mod ends;
mod groups;
mod kept;
mod narrow;
mod people;
