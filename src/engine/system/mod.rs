//! What the operating system says and allows: processor, memory and disk ([`machine`]), the most memory that work took
//! ([`peak`]), folders that a process may write to ([`landlock`]).

pub mod landlock;
pub mod machine;
pub mod peak;
