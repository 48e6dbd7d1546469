//! Scripted origins, raw clients and an in-memory wire for tests.
