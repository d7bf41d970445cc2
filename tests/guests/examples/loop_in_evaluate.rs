//! Never answers.

attorn_guests::guest! {
    reasons: [],
    evaluate: |_ctx| loop {
        std::hint::black_box(());
    },
}
