//! The rules of admission, one module a concern.
