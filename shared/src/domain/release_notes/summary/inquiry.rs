//! The questions about one text, one after the other: about each of its pieces, and then about what came of them. What was answered is
//! used, whatever becomes of the other questions, as it was paid for.

use std::collections::VecDeque;

use super::super::Release;
use super::super::digest::Summary;
use super::joined;
use super::prompt::{Question, about, about_parts, longest, pieces};

/// What is yet to be asked about a text, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Those that are yet to be asked about, newest first.
    pieces: VecDeque<String>,
    /// What was answered; one alone is of all that was.
    parts: Vec<Summary>,
    /// Whether that leaves some of the text out.
    of_part: bool,
}

impl Inquiry {
    /// Of releases, newest first.
    pub fn new(releases: &[Release]) -> Self {
        let (pieces, of_part) = pieces(releases);
        Self {
            pieces: pieces.into(),
            parts: Vec::new(),
            of_part,
        }
    }

    /// What to ask next, if anything.
    pub fn question(&self, language: &str) -> Option<Question> {
        match self.pieces.front() {
            Some(piece) => Some(about(piece, language)),
            None if self.parts.len() > 1 => Some(about_parts(&self.parts, language).0),
            None => None,
        }
    }

    /// How many tokens it takes at most to ask and answer all that is left.
    pub fn most_tokens(&self, language: &str) -> u64 {
        let pieces = self
            .pieces
            .iter()
            .map(|piece| about(piece, language).most_tokens());
        let is_joined = self.pieces.len() + self.parts.len() > 1;
        let joined = is_joined.then(|| longest(language).most_tokens());
        pieces.chain(joined).sum()
    }

    /// Takes in the answer to the question.
    pub fn answered(&mut self, answer: Summary) {
        if self.pieces.pop_front().is_none() {
            let (_, is_cut) = about_parts(&self.parts, "");
            self.of_part |= is_cut;
            self.parts.clear();
        }
        self.parts.push(answer);
    }

    /// The answer to the question is of no use.
    pub fn useless(&mut self) {
        if self.pieces.pop_front().is_some() {
            self.of_part = true;
        } else {
            self.join();
        }
    }

    /// Nothing more is asked.
    pub fn stop(&mut self) {
        self.of_part |= !self.pieces.is_empty();
        self.pieces.clear();
        self.join();
    }

    fn join(&mut self) {
        if self.parts.len() > 1 {
            self.parts = vec![joined(std::mem::take(&mut self.parts))];
        }
    }

    /// What came of it, once there is no more to ask; nothing where no answer was of use.
    pub fn summary(&self) -> Option<Summary> {
        let summary = self.parts.first()?.clone();
        Some(Summary {
            of_part: self.of_part,
            ..summary
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::parse;
    use super::super::prompt::MOST_OF_A_QUESTION;
    use super::*;

    /// Of so many pieces, each of a release.
    fn inquiry(pieces: usize) -> Inquiry {
        let releases = (0..pieces).map(|number| {
            let line = format!("- a change of release {number}\n");
            let body = line.repeat(MOST_OF_A_QUESTION / line.len());
            Release {
                tag: format!("v1.{number}.0"),
                body,
                ..Release::default()
            }
        });
        let inquiry = Inquiry::new(&releases.collect::<Vec<_>>());
        assert_eq!(inquiry.pieces.len(), pieces);
        inquiry
    }

    fn answer(text: &str) -> Summary {
        parse(&format!("{{\"features\":[\"{text}\"]}}")).unwrap()
    }

    fn told(inquiry: &Inquiry) -> Option<(Vec<String>, bool)> {
        let summary = inquiry.summary()?;
        let features = summary.features.into_iter().map(|item| item.text);
        Some((features.collect(), summary.of_part))
    }

    #[test]
    fn each_piece_is_asked_about_once_and_then_all_of_them_together() {
        let mut inquiry = inquiry(3);
        for number in 0..3 {
            let question = inquiry.question("fr").unwrap();
            assert!(question.user.matches(&format!("release {number}")).count() > 300);
            inquiry.answered(answer(&format!("feature {number}")));
        }
        let question = inquiry.question("fr").unwrap();
        assert!(
            question
                .user
                .contains("New: feature 0\nNew: feature 1\nNew: feature 2")
        );
        inquiry.answered(answer("all"));
        assert_eq!(inquiry.question("fr"), None);
        assert_eq!(told(&inquiry), Some((vec!["all".to_owned()], false)));
    }

    #[test]
    fn what_was_answered_is_used_whatever_becomes_of_the_other_questions() {
        // What is answered, and how: `+` with its number, `-` with nothing of use, `.` is the end.
        for (replies, expected) in [
            ("+++-", Some((&["0", "1", "2"] as &[&str], false))),
            ("+++.", Some((&["0", "1", "2"], false))),
            ("+-++", Some((&["3"], true))),
            ("--+", Some((&["2"], true))),
            ("++.", Some((&["0", "1"], true))),
            ("+.", Some((&["0"], true))),
            ("---", None),
            (".", None),
        ] {
            let mut inquiry = inquiry(3);
            for (number, reply) in replies.chars().enumerate() {
                assert!(inquiry.question("English").is_some(), "{replies}");
                match reply {
                    '+' => inquiry.answered(answer(&number.to_string())),
                    '-' => inquiry.useless(),
                    _ => inquiry.stop(),
                }
            }
            assert_eq!(inquiry.question("English"), None, "{replies}");
            let expected =
                expected.map(|(told, of_part)| (told.iter().map(ToString::to_string).collect(), of_part));
            assert_eq!(told(&inquiry), expected, "{replies}");
        }
    }

    #[test]
    fn it_costs_no_more_than_was_said_before_the_first_question() {
        for pieces in [1, 3, 6] {
            let mut inquiry = inquiry(pieces);
            let (most, mut spent) = (inquiry.most_tokens("English"), 0);
            while let Some(question) = inquiry.question("English") {
                assert!(question.most_tokens() <= inquiry.most_tokens("English"));
                spent += question.most_tokens();
                inquiry.answered(answer(&"a".repeat(250)));
            }
            assert!(
                (most / 2..=most).contains(&spent),
                "{spent} of {most} for {pieces}"
            );
            assert_eq!(inquiry.most_tokens("English"), 0);
        }
    }

    #[test]
    fn a_summary_of_what_did_not_fit_all_is_one_of_a_part() {
        let body = "- a change that is told\n".repeat(10_000);
        let release = Release {
            body,
            ..Release::default()
        };
        let mut inquiry = Inquiry::new(&vec![release; 10]);
        while inquiry.question("English").is_some() {
            inquiry.answered(answer("a"));
        }
        assert_eq!(told(&inquiry), Some((vec!["a".to_owned()], true)));
    }
}
