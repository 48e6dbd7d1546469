//! The corridor: the life of a request.
