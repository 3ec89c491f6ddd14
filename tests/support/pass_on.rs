//! Stores around stores: each test that spoils a few calls passes the others on as they are.

/// Passes calls of a store on to the one in a field: `pass_on!(inner: load, claim, …);` among the items of
/// an `impl Store`. The calls are named, so that none is passed on by oversight; one that is neither named
/// nor written out does not compile.
#[macro_export]
macro_rules! pass_on {
    ($inner:tt: $($call:ident),+ $(,)?) => {
        $($crate::pass_on! { @$call $inner })+
    };
    (@load $inner:tt) => { $crate::pass_on! { @ $inner load(keys: &[tipstaff::Key]) -> Vec<Option<tipstaff::Record>> } };
    (@commit $inner:tt) => { $crate::pass_on! { @ $inner commit(commit: &tipstaff::Commit) -> tipstaff::Committed } };
    (@claim $inner:tt) => { $crate::pass_on! { @ $inner claim(claim: &tipstaff::Claim) -> Vec<tipstaff::Record> } };
    (@renew $inner:tt) => { $crate::pass_on! { @ $inner renew(renewal: &tipstaff::Renewal) -> tipstaff::Time } };
    (@due $inner:tt) => { $crate::pass_on! { @ $inner due(page: &tipstaff::DuePage) -> Vec<tipstaff::Record> } };
    (@upcoming $inner:tt) => { $crate::pass_on! { @ $inner upcoming(ask: &tipstaff::Ahead) -> tipstaff::Upcoming } };
    (@query $inner:tt) => { $crate::pass_on! { @ $inner query(query: &tipstaff::Query) -> tipstaff::Page<tipstaff::Record> } };
    (@trail $inner:tt) => { $crate::pass_on! { @ $inner trail(trail: &tipstaff::Trail) -> Vec<tipstaff::AuditRecord> } };
    (@head $inner:tt) => { $crate::pass_on! { @ $inner head(tenant: &tipstaff::TenantId, lane: u16) -> tipstaff::Head } };
    (@erase $inner:tt) => { $crate::pass_on! { @ $inner erase(tenant: &tipstaff::TenantId, user: &tipstaff::UserId) -> u64 } };
    (@now $inner:tt) => { $crate::pass_on! { @ $inner now() -> tipstaff::Time } };
    (@unique $inner:tt) => { $crate::pass_on! { @ $inner unique() -> tipstaff::Salt } };
    (@ $inner:tt $call:ident($($arg:ident: $type:ty),*) -> $answer:ty) => {
        async fn $call(&self, $($arg: $type),*) -> Result<$answer, tipstaff::StoreError> {
            tipstaff::Store::$call(&self.$inner, $($arg),*).await
        }
    };
}
