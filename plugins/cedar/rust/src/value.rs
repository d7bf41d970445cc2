//! Values on their way into Cedar.
//!
//! They are made by Cedar's constructors and never by its text, so no string can become anything but a string. What
//! Cedar has no value for is refused, with the path to it: to leave it out would let a request pass a `forbid` that is
//! about it.

use std::collections::BTreeMap;
use std::fmt;

use cedar_policy::{EntityUid, RestrictedExpression};
use serde_json::{Number, Value as Json};

use crate::declared::Shape;

/// How deep a value may nest. The contract lets JSON nest as deep.
const DEPTH_MAX: usize = 32;
/// How many values one context may hold, nested ones included.
const VALUES_MAX: usize = 4_096;
/// Digits that a Cedar decimal has after its point.
const FRACTION_DIGITS_MAX: usize = 4;
/// What a Cedar decimal stays below, whatever its sign.
const DECIMAL_BELOW: f64 = 922_337_203_685_477.0;
/// The last millisecond of the year 9999, which is the last that a Cedar datetime can be written of.
const TIME_MS_MAX: u64 = 253_402_300_799_999;

/// A value before it is Cedar's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// A whole number.
    Long(u64),
    /// A text.
    Text(String),
    /// A moment, in milliseconds since 1970 UTC; as a datetime, which Cedar takes long to read.
    Time(u64),
    /// An entity.
    Entity(EntityUid),
    /// Values in no order.
    Set(Vec<Value>),
    /// Values by name.
    Record(BTreeMap<String, Value>),
    /// What others wrote.
    Json(Json),
}

/// What Cedar has no value for, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotRepresentable {
    path: String,
    why: &'static str,
}

impl fmt::Display for NotRepresentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path, self.why)
    }
}

impl Value {
    /// A record of these; those that are missing are left out.
    pub(crate) fn record<const N: usize>(fields: [(&str, Option<Self>); N]) -> Self {
        Self::Record(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    /// A text.
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// What is declared of it.
    pub(crate) fn cut(self, declared: &Shape) -> Self {
        match (self, declared) {
            (Self::Record(fields), Shape::Record(members)) => Self::Record(cut(fields, members, Self::cut)),
            (Self::Set(values), Shape::Set(each)) => {
                Self::Set(values.into_iter().map(|value| value.cut(each)).collect())
            }
            (Self::Json(json), declared) => Self::Json(cut_json(json, declared)),
            (other, _) => other,
        }
    }

    /// What stands at this path, if anything does.
    pub(crate) fn at(self, path: &[String]) -> Option<Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match self {
            Self::Record(mut fields) => fields.remove(first)?.at(rest),
            Self::Json(Json::Object(mut fields)) => Self::Json(fields.remove(first)?).at(rest),
            _ => None,
        }
    }
}

fn cut_json(json: Json, declared: &Shape) -> Json {
    match (json, declared) {
        (Json::Object(fields), Shape::Record(members)) => Json::Object(cut(fields, members, cut_json)),
        (Json::Array(values), Shape::Set(each)) => {
            Json::Array(values.into_iter().map(|value| cut_json(value, each)).collect())
        }
        (other, _) => other,
    }
}

fn cut<V, T: FromIterator<(String, V)>>(
    fields: impl IntoIterator<Item = (String, V)>,
    members: &BTreeMap<String, Shape>,
    each: fn(V, &Shape) -> V,
) -> T {
    fields.into_iter().filter_map(|(name, value)| members.get(&name).map(|shape| (name, each(value, shape)))).collect()
}

/// Makes Cedar's values of ours, for one context.
#[derive(Debug, Default)]
pub(crate) struct Maker {
    values: usize,
    path: Vec<String>,
}

impl Maker {
    /// The attribute `name`, as Cedar's.
    pub(crate) fn attribute(&mut self, name: &str, value: Value) -> Result<RestrictedExpression, NotRepresentable> {
        self.inside(name, |maker| maker.value(value))
    }

    fn value(&mut self, value: Value) -> Result<RestrictedExpression, NotRepresentable> {
        if !matches!(value, Value::Json(_)) {
            self.count()?;
        }
        Ok(match value {
            Value::Long(number) => self.long(i64::try_from(number).ok())?,
            Value::Text(text) => RestrictedExpression::new_string(text),
            Value::Time(ms) if ms > TIME_MS_MAX => return Err(self.refuse("is after the year 9999")),
            Value::Time(ms) => RestrictedExpression::new_datetime(datetime(ms)),
            Value::Entity(uid) => RestrictedExpression::new_entity_uid(uid),
            Value::Set(values) => self.set(values, Self::value)?,
            Value::Record(fields) => self.record(fields, Self::value)?,
            Value::Json(json) => self.json(json)?,
        })
    }

    fn json(&mut self, json: Json) -> Result<RestrictedExpression, NotRepresentable> {
        self.count()?;
        Ok(match json {
            Json::Null => return Err(self.refuse("is null, which Cedar does not have")),
            Json::Bool(bool) => RestrictedExpression::new_bool(bool),
            Json::Number(number) => self.number(&number)?,
            Json::String(text) => RestrictedExpression::new_string(text),
            Json::Array(values) => self.set(values, Self::json)?,
            Json::Object(fields) => self.record(fields, Self::json)?,
        })
    }

    fn number(&self, number: &Number) -> Result<RestrictedExpression, NotRepresentable> {
        match number.as_f64() {
            Some(double) if number.is_f64() && double.abs() < DECIMAL_BELOW && double.fract() != 0.0 => {
                let text = double.to_string();
                match text.split_once('.') {
                    Some((_, digits)) if digits.len() <= FRACTION_DIGITS_MAX => {
                        Ok(RestrictedExpression::new_decimal(text))
                    }
                    _ => Err(self.refuse("has more than 4 digits after its point, and a Cedar decimal has no more")),
                }
            }
            _ => self.long(number.as_i64()),
        }
    }

    fn long(&self, number: Option<i64>) -> Result<RestrictedExpression, NotRepresentable> {
        number.map(RestrictedExpression::new_long).ok_or_else(|| self.refuse("is beyond the 64 bits of a Cedar long"))
    }

    fn set<V>(
        &mut self,
        values: Vec<V>,
        make: fn(&mut Self, V) -> Result<RestrictedExpression, NotRepresentable>,
    ) -> Result<RestrictedExpression, NotRepresentable> {
        let all = values.into_iter().enumerate().map(|(at, value)| self.inside(&at.to_string(), |it| make(it, value)));
        Ok(RestrictedExpression::new_set(all.collect::<Result<Vec<_>, _>>()?))
    }

    fn record<V>(
        &mut self,
        fields: impl IntoIterator<Item = (String, V)>,
        make: fn(&mut Self, V) -> Result<RestrictedExpression, NotRepresentable>,
    ) -> Result<RestrictedExpression, NotRepresentable> {
        let mut all = Vec::new();
        for (name, value) in fields {
            let value = self.inside(&name, |it| make(it, value))?;
            all.push((name, value));
        }
        RestrictedExpression::new_record(all).map_err(|_| self.refuse("has two members of one name"))
    }

    fn inside(
        &mut self,
        name: &str,
        make: impl FnOnce(&mut Self) -> Result<RestrictedExpression, NotRepresentable>,
    ) -> Result<RestrictedExpression, NotRepresentable> {
        self.path.push(name.to_owned());
        if self.path.len() > DEPTH_MAX {
            return Err(self.refuse("nests deeper than 32"));
        }
        let expression = make(self)?;
        self.path.pop();
        Ok(expression)
    }

    fn count(&mut self) -> Result<(), NotRepresentable> {
        self.values += 1;
        if self.values > VALUES_MAX { Err(self.refuse("is the 4097th value, and 4096 are the most")) } else { Ok(()) }
    }

    fn refuse(&self, why: &'static str) -> NotRepresentable {
        NotRepresentable { path: self.path.join("."), why }
    }
}

/// A moment as Cedar writes it: `2026-01-05T09:00:00.000Z`. Not after the year 9999.
fn datetime(ms: u64) -> String {
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    // Years begin in March here, so that the day that only some have is their last. Counted from 0000-03-01, every 400
    // years are 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Context, Entities, EntityId, EvalResult, Request, eval_expression};
    use serde_json::json;

    use super::*;

    fn made(value: Value) -> Result<EvalResult, String> {
        let expression = Maker::default().attribute("a", value).map_err(|error| error.to_string())?;
        let context = Context::from_pairs([("a".to_owned(), expression)]).map_err(|error| error.to_string())?;
        Ok(context.get("a").unwrap())
    }

    fn holds(expression: &str) -> bool {
        let uid = EntityUid::from_type_name_and_id("A".parse().unwrap(), EntityId::new("a"));
        let request = Request::new(uid.clone(), uid.clone(), uid, Context::empty(), None).unwrap();
        let found = eval_expression(&request, &Entities::empty(), &expression.parse().unwrap()).unwrap();
        found == EvalResult::Bool(true)
    }

    fn of_json(json: Json) -> Result<EvalResult, String> {
        made(Value::Json(json))
    }

    #[test]
    fn what_cedar_does_not_have_is_refused_with_its_place() {
        for (json, error) in [
            (json!(null), "`a` is null, which Cedar does not have"),
            (json!({ "b": [1, { "c": null }] }), "`a.b.1.c` is null, which Cedar does not have"),
            (json!(9_223_372_036_854_775_808_u64), "`a` is beyond the 64 bits of a Cedar long"),
            (json!(1e19), "`a` is beyond the 64 bits of a Cedar long"),
            (json!(-1e300), "`a` is beyond the 64 bits of a Cedar long"),
            (json!([0.00001]), "`a.0` has more than 4 digits after its point, and a Cedar decimal has no more"),
            (json!(1e-300), "`a` has more than 4 digits after its point, and a Cedar decimal has no more"),
        ] {
            assert_eq!(of_json(json.clone()).unwrap_err(), error, "{json}");
        }
    }

    #[test]
    fn numbers_are_read_exactly() {
        for number in [0, 1, -1, i64::MAX, i64::MIN, (1 << 53) + 1] {
            assert_eq!(of_json(json!(number)).unwrap(), EvalResult::Long(number));
        }
        for (number, text) in [(0.5, "0.5"), (-12.3456, "-12.3456"), (4_000_000_000.25, "4000000000.25")] {
            assert_eq!(of_json(json!(number)).unwrap().to_string(), format!("decimal(\"{text}\")"));
        }
    }

    #[test]
    fn no_string_becomes_anything_else() {
        for text in ["", "\"", "\\\"); permit(principal, action, resource); //", "User::\"root\"", "\0\u{202e}é"] {
            assert_eq!(of_json(json!(text)).unwrap(), EvalResult::String(text.to_owned()));
        }
        // Cedar's own JSON would read entities and calls here.
        for escape in [
            json!({ "__entity": { "type": "User", "id": "root" } }),
            json!({ "__extn": { "fn": "ip", "arg": "127.0.0.1" } }),
            json!({ "__expr": "User::\"root\"" }),
        ] {
            assert!(matches!(of_json(escape.clone()).unwrap(), EvalResult::Record(_)), "{escape}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        // The attribute's own name is one step.
        assert!(of_json(nested(DEPTH_MAX - 1)).is_ok());
        assert!(of_json(nested(DEPTH_MAX)).unwrap_err().ends_with(" nests deeper than 32"));
        assert!(of_json(json!(vec![1; VALUES_MAX - 1])).is_ok());
        assert_eq!(
            of_json(json!(vec![1; VALUES_MAX])).unwrap_err(),
            "`a.4095` is the 4097th value, and 4096 are the most"
        );
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_603_600_123, "2026-01-05T09:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (TIME_MS_MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(datetime(ms), text);
            // Cedar counts the days itself.
            let start = "datetime(\"1970-01-01\")";
            let same = format!("{start}.offset(duration(\"{ms}ms\")) == datetime(\"{text}\")");
            assert!(holds(&same), "{same}");
        }
        assert_eq!(made(Value::Time(TIME_MS_MAX + 1)).unwrap_err(), "`a` is after the year 9999");
    }

    #[test]
    fn paths_lead_into_records_and_objects_alone() {
        let value = Value::record([("b", Some(Value::Json(json!({ "c": { "d": 7 }, "e": [1] }))))]);
        let at = |path: &str| value.clone().at(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(at("b.c.d"), Some(Value::Json(json!(7))));
        for path in ["c", "b.d", "b.e.0", "b.c.d.x", ""] {
            assert_eq!(at(path), None, "{path}");
        }
    }
}
