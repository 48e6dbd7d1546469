//! What changes a plan: the watch over files; certificates, discovery and probes come with later issues.
