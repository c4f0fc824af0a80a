use super::*;

fn number(number: f64) -> Measured {
    Measured::Number(number)
}

fn numbers(numbers: &[f64]) -> Measured {
    Measured::Numbers(numbers.to_vec())
}

fn json(text: &str) -> Measured {
    Measured::Value(text.to_owned())
}

fn verdict(measured: &Measured, success: &str, failure: &str) -> Verdict {
    let judged = judge(measured, Some(success), Some(failure));
    assert_eq!(judged.verdict == Verdict::Error, !judged.message.is_empty(), "{judged:?}");
    judged.verdict
}

fn error(measured: &Measured, success: &str) -> String {
    let judged = judge(measured, Some(success), None);
    assert_eq!(judged.verdict, Verdict::Error, "{success}");
    judged.message
}

#[test]
fn the_four_ways_of_having_conditions() {
    use Verdict::{Failed, Inconclusive, Successful};
    let table = [
        (0.97, "", "", Successful),
        (0.97, "result >= 0.95", "", Successful),
        (0.94, "result >= 0.95", "", Failed),
        (0.94, "", "result < 0.95", Failed),
        (0.97, "", "result < 0.95", Successful),
        (0.97, "result >= 0.95", "result < 0.9", Successful),
        (0.93, "result >= 0.95", "result < 0.9", Inconclusive),
        (0.80, "result >= 0.95", "result < 0.9", Failed),
        (0.80, "result < 1", "result < 0.9", Failed),
    ];
    for (value, success, failure, expected) in table {
        let found = verdict(&number(value), success, failure);
        assert_eq!(found, expected, "{value}: success {success:?}, failure {failure:?}");
    }
}

#[test]
fn an_error_in_either_condition_is_an_error_even_if_the_other_is_met() {
    assert_eq!(verdict(&number(1.0), "result == 1", "result.x"), Verdict::Error);
    assert_eq!(verdict(&number(1.0), "result.x", "result == 1"), Verdict::Error);
}

#[test]
fn conditions_that_hold() {
    let vector = numbers(&[0.97, 0.5]);
    let object = json(r#"{"ok":true,"rate":0.98,"n":"12","data":[{"v":1},{"v":3}],"none":null}"#);
    let table = [
        (&vector, "result[0] >= 0.95"),
        (&vector, "len(result) == 2 and result[1] == 0.5"),
        (&vector, "result[-1] == 0.5"),
        (&vector, "all(result, # > 0.4)"),
        (&vector, "all(result, {# > 0.4})"),
        (&vector, "any(result, # < 0.6) && !any(result, # < 0.4)"),
        (&vector, "filter(result, # > 0.9)[0] == 0.97"),
        (&vector, "len(filter(result, {# > 0.9})) == 1"),
        (&vector, "map(result, # * 2)[1] == 1"),
        (&vector, "count(result, # > 0) == 2"),
        (&vector, "sum(result[0:1]) == 0.97"),
        (&vector, "result[len(result) - 1] == 0.5"),
        (&vector, "result[0] > 0.9 ? result[1] < 0.6 : false"),
        (&vector, "!!(result[0] > 0.9)"),
        (&vector, "not not (result[0] > 0.9)"),
        (&vector, "3 not in [1, 2] and 1 in 1..3"),
        (&vector, "let x = result[0]; x > 0.9"),
        (&vector, "max(result) == 0.97 // a comment"),
        (&object, "result.ok && result.rate > 0.95"),
        (&object, "result.ok"),
        (&object, "asInt(result.n) > 11 and asFloat(result.n) == 12.0"),
        (&object, "result.data[1].v == 3"),
        (&object, "result['data'][0]['v'] == 1"),
        (&object, "any(result.data, {.v > 2})"),
        (&object, "all(result.data, .v > 0)"),
        (&object, "(result.missing ?? 5) == 5"),
        (&object, "result.none == nil"),
        (&object, "result.missing?.deeper == nil"),
        (&json("7"), "result == 7 && result > 6.5"),
        (&json("\"up\""), "result == \"up\" && result matches '^u'"),
        (&number(f64::NAN), "isNaN(result) && !isInf(result)"),
        (&number(f64::NAN), "!(result > 0) && !(result <= 0)"),
        (&number(f64::NEG_INFINITY), "isInf(result)"),
        (&number(3.7), "asInt(result) == 3"),
        (&numbers(&[]), "len(result) == 0"),
        (&numbers(&[]), "len(result) == 0 || result[0] > 0.9"),
        (&Measured::NoData, "isNil(result)"),
        (&Measured::NoData, "default(result, 0) == 0"),
        (&number(1.0), "default(result, 0) == 1"),
    ];
    for (measured, condition) in table {
        let judged = judge(measured, Some(condition), None);
        assert_eq!(
            (judged.verdict, judged.message),
            (Verdict::Successful, String::new()),
            "{condition}"
        );
        check(condition).unwrap();
    }
}

#[test]
fn is_nil_and_default_look_at_the_whole_result_whatever_they_are_given() {
    let object = json(r#"{"none":null}"#);
    assert_eq!(verdict(&object, "isNil(result.none)", ""), Verdict::Failed);
    assert_eq!(verdict(&object, "default(result.none, 5) == 5", ""), Verdict::Failed);
    assert_eq!(verdict(&Measured::NoData, "isNil(1)", ""), Verdict::Successful);
}

#[test]
fn no_data_is_told_from_a_wrong_condition() {
    let told = "could not evaluate successCondition \"result[0] > 1\": \
                metric result is nil or empty: no data returned from the metric provider";
    assert_eq!(error(&numbers(&[]), "result[0] > 1"), told);
    assert_eq!(error(&Measured::NoData, "result[0] > 1"), told);
    // An equality that the evaluator would have taken for false.
    assert_eq!(verdict(&numbers(&[]), "", "result[0] == 1"), Verdict::Error);
    assert_eq!(verdict(&numbers(&[]), "", "isNaN(result[0])"), Verdict::Error);
}

#[test]
fn errors_name_condition_and_reason() {
    let table = [
        ("result", "expected bool, but got float64"),
        ("result + 1", "expected bool, but got float64"),
        ("reslt > 1", "unknown name reslt"),
        ("isNan(result)", "unknown name isNan"),
        ("result > ", "unexpected end of the expression"),
        ("result >> 1", "unexpected syntax at \"> 1\""),
        ("(result > 1", "unexpected end of the expression: ) is missing"),
        ("result > 1)", "unexpected )"),
        ("result == 'a", "a string does not end"),
        ("[1, 2][7] == 1", "index out of range: 7 (array length is 2)"),
        ("asInt('x') == 1", "strconv.ParseInt: parsing \"x\": invalid syntax"),
        ("asFloat('x') == 1", "strconv.ParseFloat: parsing \"x\": invalid syntax"),
        ("asInt(nil) == 1", "asInt() not supported on nil"),
        ("isNaN('x')", "isNaN() takes a number, not string"),
        ("{'a': result}.a == 1", "the expression uses something that is not supported"),
    ];
    for (condition, why) in table {
        let expected = format!("could not evaluate successCondition \"{condition}\": {why}");
        assert_eq!(error(&number(1.0), condition), expected);
    }
    let failing = judge(&number(1.0), None, Some("nope"));
    assert_eq!(failing.message, "could not evaluate failureCondition \"nope\": unknown name nope");
}

#[test]
fn check_finds_what_can_be_found_without_a_result() {
    assert_eq!(check("result[0] >= 0.95"), Ok(()));
    assert_eq!(check("result[0] >= "), Err("unexpected end of the expression".to_owned()));
    assert_eq!(check("foo(result)"), Err("unknown name foo".to_owned()));
}

#[test]
fn conditions_cannot_take_the_controller_down() {
    let long = |part: &str, times: usize| part.repeat(times);
    let bombs = [
        "0..999999999999 == []".to_owned(),
        "len(1..9*99999999) > 1".to_owned(),
        "len(0-99999999999..1) > 1".to_owned(),
        format!("{}1{} > 1", long("(", 200), long(")", 200)),
        format!("{}0{}", long("result[", 30), long("]", 30)),
        format!("{}true", long("let a = [result, result]; ", 10)),
        format!("1{} > 1", long("+1", 1000)),
        format!("{} result", long("x", 5000)),
        "[".to_owned(),
        "\u{e9}".to_owned(),
    ];
    for bomb in bombs {
        assert!(check(&bomb).is_err(), "{bomb}");
    }
}

#[test]
fn the_largest_conditions_that_are_accepted_fit_their_stack() {
    let conditions = [
        format!("1{} > 1", "+1".repeat(126)),
        format!("{}true{}", "(".repeat(22), ")".repeat(22)),
        format!("result{} == 1", "?.a".repeat(126)),
        format!("result{} == 1", "[0]".repeat(22)),
        format!("{}true", "false ? true : ".repeat(63)),
    ];
    for condition in conditions {
        assert_eq!(check(&condition), Ok(()), "{condition}");
        judge(&number(1.0), Some(&condition), None);
    }
}

#[test]
fn values_are_recorded_as_prometheus_prints_them() {
    let printed = |measured| judge(&measured, None, None).value;
    assert_eq!(printed(number(0.1)), "0.1");
    assert_eq!(printed(number(1e21)), "1000000000000000000000");
    assert_eq!(printed(number(f64::NAN)), "NaN");
    assert_eq!(printed(numbers(&[1.0, f64::INFINITY, 0.25])), "[1,+Inf,0.25]");
    assert_eq!(printed(numbers(&[])), "[]");
    assert_eq!(printed(json(r#"{"a":1}"#)), r#"{"a":1}"#);
    assert_eq!(printed(Measured::NoData), "");
}

#[test]
fn what_the_provider_judged_is_not_judged_again() {
    let judged = |said| judge(&Measured::Judged(said), Some("false"), Some("true")).verdict;
    assert_eq!(judged(Said::Successful), Verdict::Successful);
    assert_eq!(judged(Said::Failed), Verdict::Failed);
    assert_eq!(judged(Said::Inconclusive), Verdict::Inconclusive);
}

#[test]
fn a_value_that_is_no_json_is_an_error() {
    let judged = judge(&json("<html>"), None, None);
    assert_eq!(judged.verdict, Verdict::Error);
    assert!(judged.message.starts_with("the provider's value is not JSON: "), "{}", judged.message);
}
