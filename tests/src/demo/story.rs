//! What happens, in order.
