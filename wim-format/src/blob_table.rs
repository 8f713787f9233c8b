//! (module blob_table)
