//! Somebody writes to the records of decisions, of an epoch that has ended and of the one that the log is in: every command
//! that looks at a data directory names it, and a receipt, which proves an entry, needs no record.

use std::fs;
use std::path::Path;

use attorn_api::decisions::DecisionAnswer;
use attorn_core::{DecisionId, TimeMs};
use attorn_server::Config;
use attorn_store::records::{DecisionRecord, Record as _};
use attorn_store::{Batch, Key, Store};
use attorn_tests::world::ask;

use super::Stage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgery {
    Remove,
    Exchange,
    /// The record stays, and does not say any more which entry it is of.
    Misleads,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Stage {
    /// Write to database and journal, as whoever has both, and no key, can.
    async fn forge(&self, forgery: Forgery, of: &DecisionAnswer) {
        let config = Config::load(&self.fresh.config).unwrap();
        let store = Store::open(&config.data_dir, &attorn_server::data::ours(&config).unwrap()).unwrap();
        let id: DecisionId = of.decision_id.parse().unwrap();
        let record = store.record::<DecisionRecord>(&Key::decision(&id)).await.unwrap().unwrap().value;
        let mut batch = Batch::new(TimeMs(1));
        match forgery {
            Forgery::Remove => batch.delete.push(record.key()),
            Forgery::Exchange => {
                let other = attorn_store::records::Kept::Plain(attorn_core::JsonText::from_canonical("{}"));
                batch.put_record(&DecisionRecord { text: other, ..record });
            }
            Forgery::Misleads => batch.put_record(&record),
        }
        store.commit(batch).await.unwrap();
    }

    /// Put the directory back as it was.
    fn put_back(&self, whole: &Path) {
        fs::remove_dir_all(self.fresh.data_dir()).unwrap();
        copy(whole, &self.fresh.data_dir());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_wrote_is_named_in_whichever_epoch_its_decision_was_made() {
    let (stage, process) = Stage::set().await;
    let ended = stage.cast.bot.decide(&ask()).await;
    process.stop().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    let now = stage.cast.bot.decide(&ask()).await;
    assert_eq!((ended.entry.epoch, now.entry.epoch), (1, 2));
    process.stop().await;
    let (whole, backup) = (stage.path("whole"), |n: usize| stage.path(&format!("backup-{n}")).display().to_string());
    copy(&stage.fresh.data_dir(), &whole);
    let (code, _, said) = stage.verify();
    assert_eq!(code, Some(0), "{said}");
    stage.done(&["repair"]);
    stage.done(&["backup", &backup(0)]);

    let mut n = 0;
    for (of, entry) in
        [(&ended, format!("entry {} of epoch 1", ended.entry.index)), (&now, format!("entry {}", now.entry.index))]
    {
        for (forgery, expect) in [
            (Forgery::Remove, format!("the record is gone that {entry} names")),
            (Forgery::Exchange, format!("is not the one that {entry} names")),
            (Forgery::Misleads, format!("says of itself that it is of other entries than {entry}, which names it")),
        ] {
            n += 1;
            stage.put_back(&whole);
            stage.forge(forgery, of).await;
            let (code, out, said) = stage.verify();
            assert!(code == Some(5) && out.contains(&expect), "{forgery:?} {expect}: {out}{said}");
            let repaired = stage.bad(&["repair"]);
            assert!(repaired["bad_files"][0].as_str().unwrap().contains(&expect), "{repaired}");
            let made = stage.bad(&["backup", &backup(n)]);
            assert!(made["bad_files"][0].as_str().unwrap().contains(&expect), "{made}");
        }
    }
}

/// What a record says of where its entry is, nobody signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_found_also_where_the_record_misleads_about_its_entry() {
    let (stage, process) = Stage::set().await;
    let ended = stage.cast.bot.decide(&ask()).await;
    process.stop().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    let now = stage.cast.bot.decide(&ask()).await;
    process.stop().await;
    for of in [&ended, &now] {
        stage.forge(Forgery::Misleads, of).await;
    }
    let process = stage.start().await;
    for of in [&ended, &now] {
        let (code, out, said) = stage.audit(&["receipt", &of.decision_id]);
        assert!(code == Some(0) && out.starts_with("c2sp.org/tlog-proof@v1\n"), "{out}{said}");
        assert!(out.contains(&of.entry.index.to_string()), "{out}");
    }
    process.stop().await;
}
