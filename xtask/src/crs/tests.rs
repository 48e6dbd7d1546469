//! The suite of 3.3, in process, wherever its files are.
