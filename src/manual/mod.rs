//! The manual: pages that tell how, where the other pages tell what.
