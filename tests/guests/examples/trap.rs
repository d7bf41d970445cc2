//! Panics, which traps; the panic's message goes to the log.

attorn_guests::guest! {
    reasons: [],
    evaluate: |ctx| {
        // An index out of bounds, which the compiler cannot foresee.
        let byte = ctx.request.action.as_bytes()[usize::MAX];
        Err(attorn_policy::Error::new(byte.to_string()))
    },
}
