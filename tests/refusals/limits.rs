//! Every stated limit: what lies at it is accepted whole, and one more is refused or cut.
use tipstaff::*;
