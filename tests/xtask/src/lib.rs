//! Developer commands that are too long for the Makefile.
