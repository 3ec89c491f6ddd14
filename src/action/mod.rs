//! What can be done: the catalogue of action types, their parameters, and what is known of each.
//!
//! The built-in types are one [table](BuiltinAction); hosts and tenants add theirs beside it as
//! [`ActionSpec`] values in an [`ActionCatalog`], and cannot shadow a built-in one.

mod catalog;
mod params;
mod table;

pub use catalog::{
    ActionCatalog, ActionSpec, ActionType, Category, MAX_ACTION_TYPES, Retry, RetrySafety, SpecFault, Success,
};
pub use params::{
    MAX_PARAM_BYTES, MAX_PARAMS, Param, ParamFault, ParamKind, ParamProblem, ParamValue, Params, Stage,
    Template, TemplateError, check_params,
};
pub use table::BuiltinAction;
