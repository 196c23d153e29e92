//! Outcomes of made-up tables: parents and children, jobs that are claimed.

use proptest::prelude::*;

use super::{Held, Lost, Outcomes, Reference, Table};

const UUIDS: [&str; 3] = [
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333",
];

fn table(name: &str, columns: &[(&str, bool)], key: &[usize]) -> Table {
    let columns = columns.iter().map(|&(column, drawn)| (column.to_owned(), drawn)).collect();
    Table { name: name.to_owned(), columns, key: key.to_vec() }
}

fn held(name: &str, rows: &[&str]) -> Held {
    let elements: Vec<String> = rows.iter().map(|row| format!("\"({})\"", row.replace('"', "\\\""))).collect();
    (name.to_owned(), (!rows.is_empty()).then(|| format!("{{{}}}", elements.join(","))))
}

fn families() -> Outcomes {
    let tables = vec![
        table("public.parent", &[("id", true), ("name", false)], &[0]),
        table("public.child", &[("id", true), ("parent_id", false), ("toy", false)], &[0]),
    ];
    let columns = ["public.child", "parent_id", "public.parent", "id"].map(str::to_owned);
    let [table, column, other, its] = columns;
    let references: [Reference; 1] = [(table, column, other, its)];
    let start = vec![held("public.parent", &["1,first"]), held("public.child", &[])];
    Outcomes::new(vec!["A".to_owned(), "B".to_owned()], tables, &references, start)
}

fn jobs() -> Outcomes {
    let columns = [("id", true), ("claimed_at", false), ("claimed_by", false), ("n", false)];
    let start = vec![held("public.job", &["1,,,0", "2,,,0"])];
    Outcomes::new(vec!["A".to_owned(), "B".to_owned()], vec![table("public.job", &columns, &[0])], &[], start)
}

fn family(outcomes: &mut Outcomes, parents: &[&str], children: &[&str]) -> usize {
    outcomes.add(vec![held("public.parent", parents), held("public.child", children)], vec![None, None])
}

fn job(outcomes: &mut Outcomes, rows: &[&str]) -> usize {
    outcomes.add(vec![held("public.job", rows)], vec![None, None])
}

fn about(lost: &[Lost]) -> Vec<&str> {
    lost.iter().map(|one| &*one.about).collect()
}

#[test]
fn equal_outcomes_have_one_number_whatever_the_order_of_rows() {
    let mut outcomes = jobs();
    let one = job(&mut outcomes, &["1,,,1", "2,,,0"]);
    assert_eq!(job(&mut outcomes, &["2,,,0", "1,,,1"]), one);
    assert_ne!(job(&mut outcomes, &["2,,,1", "1,,,1"]), one);
}

#[test]
fn rows_that_differ_by_generated_keys_alone_are_the_same() {
    let mut outcomes = families();
    let serial = family(&mut outcomes, &["1,first", "2,a", "3,b"], &["1,2,ball", "2,3,car"]);
    let swapped = family(&mut outcomes, &["1,first", "2,b", "3,a"], &["1,3,ball", "2,2,car"]);
    assert_eq!(outcomes.lost(&[serial], &[serial, swapped]), []);
    let crossed = family(&mut outcomes, &["1,first", "2,a", "3,b"], &["1,3,ball", "2,2,car"]);
    let lost = outcomes.lost(&[serial], &[serial, swapped, crossed]);
    assert_eq!(lost.iter().map(|one| one.outcomes.clone()).collect::<Vec<_>>(), [[crossed]]);
    assert_eq!(about(&lost), ["child 1: parent_id (3) goes with other rows than one after the other (and 1 more)"]);
}

#[test]
fn keys_of_the_starting_state_are_told_apart() {
    let mut outcomes = families();
    let serial = family(&mut outcomes, &["1,first", "2,first"], &["1,1,ball"]);
    let other = family(&mut outcomes, &["1,first", "2,first"], &["1,2,ball"]);
    assert_eq!(about(&outcomes.lost(&[serial], &[other])), ["child 1: parent_id is 2; one after the other leaves 1"]);
}

#[test]
fn a_clock_is_left_out_once_it_has_moved_but_whether_it_was_read_is_not() {
    let mut outcomes = jobs();
    let serial = job(&mut outcomes, &["1,10:00,,1", "2,10:01,,1"]);
    let twice = job(&mut outcomes, &["1,10:02,,1", "2,10:03,,1"]);
    let lost = outcomes.lost(&[serial], &[twice]);
    assert_eq!(about(&lost), ["job 1: claimed_at is 10:02; one after the other leaves 10:00 (and 1 more)"]);
    let again = job(&mut outcomes, &["1,11:00,,1", "2,11:01,,1"]);
    assert!(outcomes.repeated(serial, again));
    assert!(!outcomes.repeated(serial, again));
    assert_eq!(outcomes.lost(&[serial], &[twice]), []);
    let claimed_twice = job(&mut outcomes, &["1,10:03,,1", "2,,,1"]);
    let lost = outcomes.lost(&[serial], &[twice, claimed_twice]);
    assert_eq!(about(&lost), ["job 2: claimed_at is NULL; one after the other leaves 10:01"]);
}

#[test]
fn of_uuids_it_counts_which_are_equal() {
    let mut outcomes = jobs();
    let [a, b, c] = UUIDS;
    let rows = |one: &str, other: &str| [format!("1,,{one},0"), format!("2,,{other},0")];
    let mut add = |one: &str, other: &str| {
        let rows = rows(one, other);
        job(&mut outcomes, &[&rows[0], &rows[1]])
    };
    let (serial, again, other, same) = (add(a, b), add(b, c), add(c, a), add(c, c));
    assert!(outcomes.repeated(serial, again));
    assert_eq!(outcomes.lost(&[serial], &[again, other]), []);
    assert_eq!(outcomes.lost(&[serial], &[same]).len(), 1);
}

#[test]
fn what_the_setup_draws_by_chance_is_left_out() {
    let mut outcomes = jobs();
    outcomes.started_again(&[held("public.job", &["1,,,7", "2,,,0"])]);
    let serial = job(&mut outcomes, &["1,,,1", "2,,,0"]);
    let other = job(&mut outcomes, &["1,,,5", "2,,,0"]);
    assert_eq!(outcomes.lost(&[serial], &[other]), []);
}

#[test]
fn a_table_whose_rows_differ_whatever_is_left_out_is_not_compared() {
    let mut outcomes = jobs();
    let serial = job(&mut outcomes, &["1,,,0", "2,,,0", "3,,,1"]);
    let again = job(&mut outcomes, &["1,,,0", "2,,,0"]);
    assert!(outcomes.repeated(serial, again));
    let other = job(&mut outcomes, &["1,,,0"]);
    assert_eq!(outcomes.lost(&[serial], &[again, other]), []);
}

#[test]
fn rows_too_many_or_too_few_are_told() {
    let mut outcomes = families();
    let serial = family(&mut outcomes, &["1,first", "2,a b"], &[]);
    let more = family(&mut outcomes, &["1,first", "2,a b", "3,a b"], &[]);
    let less = family(&mut outcomes, &["1,first"], &[]);
    assert_eq!(
        about(&outcomes.lost(&[serial], &[more, less])),
        [
            "parent: 2 rows (name = 'a b') are left; one after the other leaves 1",
            "parent: no row (name = 'a b') is left; one after the other leaves one",
        ]
    );
}

#[test]
fn outcomes_are_told_against_the_nearest_serial_one() {
    let mut outcomes = jobs();
    let serial = [job(&mut outcomes, &["1,,,1", "2,,,1"]), job(&mut outcomes, &["1,,,2", "2,,,2"])];
    let left = job(&mut outcomes, &["1,,,2", "2,,,0"]);
    let lost = outcomes.lost(&serial, &[left]);
    assert_eq!(about(&lost), ["job 2: n is 0; one after the other leaves 2"]);
}

#[test]
fn what_is_raised_in_no_serial_order_is_no_lost_update() {
    let mut outcomes = jobs();
    let mut add = |n: u8, raised: [Option<&str>; 2]| {
        let row = format!("1,,,{n}");
        outcomes.add(vec![held("public.job", &[&row, "2,,,0"])], raised.map(|name| name.map(str::to_owned)).to_vec())
    };
    let serial = [add(1, [None, Some("Taken")]), add(2, [Some("Taken"), None])];
    let refused = add(3, [None, Some("IntegrityError")]);
    let nobody = add(1, [None, None]);
    let both = add(1, [Some("Taken"), Some("Taken")]);
    assert_eq!(outcomes.lost(&serial, &[serial[0], refused]), []);
    assert_eq!(
        about(&outcomes.lost(&serial, &[nobody, both])),
        [
            "B raises nothing; one after the other it raises Taken",
            "A raises Taken; one after the other it raises nothing",
        ]
    );
}

/// Parents with these numbers and names, and each child's parent and toy.
fn renamed(outcomes: &mut Outcomes, numbers: &[usize], names: &[u8], children: &[(usize, u8)], first: usize) -> usize {
    let mut parents: Vec<String> = numbers.iter().zip(names).map(|(number, name)| format!("{number},{name}")).collect();
    parents.insert(0, "1,first".to_owned());
    let child = |(at, (parent, toy)): (usize, &(usize, u8))| format!("{},{},{toy}", first + at, numbers[*parent]);
    let children: Vec<String> = children.iter().enumerate().map(child).collect();
    let [parents, children] = [&parents, &children].map(|rows| rows.iter().map(String::as_str).collect::<Vec<_>>());
    family(outcomes, &parents, &children)
}

proptest! {
    #[test]
    fn other_numbers_are_no_difference_and_another_name_is(
        names in prop::collection::vec(0_u8..3, 4),
        children in prop::collection::vec((0_usize..4, 0_u8..3), 0..7),
        numbers in Just(vec![2_usize, 3, 4, 5]).prop_shuffle(),
        others in Just(vec![2_usize, 3, 4, 5, 6, 7]).prop_shuffle(),
        changed in 0_usize..4,
    ) {
        let mut outcomes = families();
        let serial = renamed(&mut outcomes, &numbers, &names, &children, 1);
        let same = renamed(&mut outcomes, &others[..4], &names, &children, 20);
        prop_assert_eq!(outcomes.lost(&[serial], &[same]), []);
        let mut renamed_one = names.clone();
        renamed_one[changed] += 3;
        let other = renamed(&mut outcomes, &others[..4], &renamed_one, &children, 1);
        prop_assert_eq!(outcomes.lost(&[serial], &[other]).len(), 1);
    }
}
