//! What a Fulcio certificate says of its holder.
