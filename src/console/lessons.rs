//! Lessons: the page that sets the stage of a scenario, asks, takes the answer, explains and repairs.
//!
//! They change the lab, so a page of another site must not make them: [`super::own_page`].

use std::sync::{Mutex, MutexGuard};

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::jaeger;
use super::own_page::{own_page_with_token, small_json};
use super::state::Console;
use crate::lab::scenario::lesson::{self, Asked};
use crate::lab::scenario::{LessonLab, SCENARIOS, Scenario, Scene};

/// The lesson that is taught now, of all open pages together: a lab has one stage.
#[derive(Default)]
pub(super) struct Lessons(Mutex<Option<CurrentLesson>>);

struct CurrentLesson {
    scenario: &'static Scenario,
    state: LessonState,
    scene: Scene,
    asked: Option<Asked>,
    /// What was said last: the judgement of an answer, a hint, the solution.
    said: Value,
    /// What proves the repair, or why something failed.
    outcome: Result<Vec<String>, String>,
}

#[derive(Clone, Copy, PartialEq)]
enum LessonState {
    Setting,
    Asked,
    Repairing,
    Over,
}

impl LessonState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Asked => "asked",
            Self::Repairing => "repairing",
            Self::Over => "over",
        }
    }
}

impl Lessons {
    fn lock(&self) -> MutexGuard<'_, Option<CurrentLesson>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl CurrentLesson {
    fn begun(scenario: &'static Scenario) -> Self {
        let scene = Scene::new(scenario, None);
        Self {
            scenario,
            state: LessonState::Setting,
            scene,
            asked: None,
            said: Value::Null,
            outcome: Ok(Vec::new()),
        }
    }

    fn to_json(&self) -> Value {
        let mut json = json!({
            "scenario": self.scenario.name,
            "title": self.scenario.title,
            "state": self.state.as_str(),
            "asked": self.asked,
            "said": self.said,
        });
        match &self.outcome {
            Ok(proofs) => json["repaired"] = json!(proofs),
            Err(why) => json["why"] = json!(why),
        }
        json
    }
}

/// Adds the routes.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let turns = web::scope("/api/lessons")
        .wrap(from_fn(own_page_with_token))
        .app_data(small_json())
        .service(web::resource("/stage").route(web::post().to(stage)))
        .service(web::resource("/answer").route(web::post().to(answer)))
        .service(web::resource("/hint").route(web::post().to(hint)))
        .service(web::resource("/solve").route(web::post().to(solve)))
        .service(web::resource("/stop").route(web::post().to(stop)))
        .default_service(web::to(|| async { jaeger::error(StatusCode::NOT_FOUND, "no such page") }));
    app.service(turns);
}

/// `GET /api/lessons`: `{"lessons":[…],"now":…}`, the lessons in order and the one that is taught now.
pub(super) async fn list(console: web::Data<Console>) -> HttpResponse {
    let lesson = |scenario: &&Scenario| json!({"name": scenario.name, "title": scenario.title, "level": scenario.level.as_str(), "learn": scenario.learn});
    let lessons: Vec<_> = SCENARIOS.iter().map(lesson).collect();
    let now = console.lessons.lock().as_ref().map(CurrentLesson::to_json);
    HttpResponse::Ok().json(json!({ "lessons": lessons, "now": now, "console": base(&console) }))
}

/// By which links to this page begin in what is told.
fn base(console: &Console) -> String {
    format!("http://127.0.0.1:{}", console.ports.at(crate::schema::Endpoint::Console))
}

#[derive(Deserialize)]
struct WantedLesson {
    name: String,
}

/// `POST /api/lessons/stage {"name":…}`: 202; the stage is set, after the one before is repaired.
async fn stage(console: web::Data<Console>, wanted: web::Json<WantedLesson>) -> HttpResponse {
    let Some(scenario) = Scenario::named(&wanted.name) else {
        return jaeger::error(StatusCode::NOT_FOUND, "no such lesson");
    };
    let before = {
        let mut now = console.lessons.lock();
        if now.as_ref().is_some_and(|now| [LessonState::Setting, LessonState::Repairing].contains(&now.state))
        {
            return busy();
        }
        now.replace(CurrentLesson::begun(scenario)).filter(|before| before.state == LessonState::Asked)
    };
    actix_web::rt::spawn(set(console, scenario, before));
    HttpResponse::Accepted().json(json!({}))
}

fn busy() -> HttpResponse {
    jaeger::error(StatusCode::CONFLICT, "a stage is being set or repaired")
}

async fn set(console: web::Data<Console>, scenario: &'static Scenario, before: Option<CurrentLesson>) {
    let mut scene = Scene::new(scenario, None);
    let set = async {
        let port_base = console.ports.of(crate::schema::Role::Gateway);
        let lab = LessonLab::reach(port_base, None).await.map_err(|error| error.to_string())?;
        if let Some(before) = before {
            lesson::heal(&lab, before.scenario, &before.scene).await?;
        }
        if let Err(why) = lesson::begin(&lab, scenario, &mut scene, true).await {
            return match lesson::heal(&lab, scenario, &scene).await {
                Ok(_) => Err(why),
                Err(also) => Err(format!("{why}; not repaired: {also}")),
            };
        }
        Ok(lesson::asked(&lab, scenario, &scene))
    };
    let set = set.await;
    let mut now = console.lessons.lock();
    let Some(now) = now.as_mut() else { return };
    now.scene = scene;
    match set {
        Ok(asked) => (now.state, now.asked) = (LessonState::Asked, Some(asked)),
        Err(why) => (now.state, now.outcome) = (LessonState::Over, Err(why)),
    }
}

/// What a turn makes of a lesson that waits for its answer; `true` where it is to be repaired now.
type Turn = fn(&LessonLab, &mut CurrentLesson, &str) -> bool;

/// Takes a turn; 409 where no question is asked.
fn turn(console: web::Data<Console>, text: &str, take: Turn) -> HttpResponse {
    let Ok(lab) = LessonLab::at(console.ports.of(crate::schema::Role::Gateway), None) else {
        return jaeger::error(StatusCode::INTERNAL_SERVER_ERROR, "the lab is not known");
    };
    let mut lock = console.lessons.lock();
    let Some(now) = lock.as_mut().filter(|now| now.state == LessonState::Asked) else {
        return jaeger::error(StatusCode::CONFLICT, "no question is asked now");
    };
    let over = take(&lab, now, text);
    let said = now.said.clone();
    if over {
        now.state = LessonState::Repairing;
        let (scenario, scene) = (now.scenario, now.scene.clone());
        drop(lock);
        actix_web::rt::spawn(repair(console, lab, scenario, scene));
    }
    HttpResponse::Ok().json(said)
}

async fn repair(console: web::Data<Console>, lab: LessonLab, scenario: &'static Scenario, scene: Scene) {
    let healed = lesson::heal(&lab, scenario, &scene).await;
    if let Some(now) = console.lessons.lock().as_mut() {
        (now.state, now.outcome) = (LessonState::Over, healed);
    }
}

#[derive(Deserialize)]
struct Given {
    answer: String,
}

/// `POST /api/lessons/answer {"answer":…}`: `{"right":…,"say":…}`, the explanation or a hint; a right one repairs.
async fn answer(console: web::Data<Console>, given: web::Json<Given>) -> HttpResponse {
    turn(console, &given.answer, |lab, now, text| {
        let judged = lesson::judge(lab, now.scenario, &mut now.scene, text);
        now.said = json!(judged);
        judged.right
    })
}

/// `POST /api/lessons/hint {}`: `{"hint":…}`
async fn hint(console: web::Data<Console>, _: web::Json<Value>) -> HttpResponse {
    turn(console, "", |lab, now, _| {
        now.said = json!({ "hint": lesson::hint(lab, now.scenario, &mut now.scene) });
        false
    })
}

/// `POST /api/lessons/solve {}`: `{"answer":…,"explanation":…,"fix":…}`; it repairs.
async fn solve(console: web::Data<Console>, _: web::Json<Value>) -> HttpResponse {
    turn(console, "", |lab, now, _| {
        now.said = json!(lesson::solution(lab, now.scenario, &now.scene));
        true
    })
}

/// `POST /api/lessons/stop {}`: it repairs.
async fn stop(console: web::Data<Console>, _: web::Json<Value>) -> HttpResponse {
    turn(console, "", |_, now, _| {
        now.said = json!({});
        true
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::console::own_page::LARGEST_BODY;
    use crate::console::sample;

    const JSON: (&str, &str) = ("content-type", "application/json");

    async fn post(
        console: &web::Data<Console>,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let said = sample::post(console, path, headers, body).await;
        (said.status, said.json)
    }

    #[actix_web::test]
    async fn a_page_of_another_site_cannot_set_a_stage_and_what_is_no_turn_is_refused() {
        let console = sample::console();
        let token = sample::token(&console).await;
        let right = ("x-console-token", token.as_str());
        let body = r#"{"name":"waterfall"}"#;
        for foreign in [
            &[JSON, right, ("origin", "http://evil.example")][..],
            &[JSON, right, ("origin", "null")],
            &[JSON, right, ("origin", "http://localhost:7000")],
            &[JSON, right, ("sec-fetch-site", "cross-site")],
            &[JSON, right, ("sec-fetch-site", "same-site")],
            &[("content-type", "text/plain"), right],
            &[right],
            &[JSON],
            &[JSON, ("x-console-token", "0123456789abcdef0123456789abcdef")],
        ] {
            for path in ["stage", "answer", "hint", "solve", "stop"] {
                let (status, _) = post(&console, &format!("/api/lessons/{path}"), foreign, body).await;
                assert_eq!(status, 403, "{path} {foreign:?}");
            }
        }
        assert!(console.lessons.lock().is_none());
        let own = [JSON, right, ("origin", "http://localhost:7005"), ("sec-fetch-site", "same-origin")];
        let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(LARGEST_BODY));
        for (path, body, expected) in [
            ("stage", r#"{"name":"nothing"}"#, 404),
            ("stage", "{", 400),
            ("stage", "{}", 400),
            ("stage", &long, 400),
            ("answer", r#"{"answer":"7"}"#, 409),
            ("hint", "{}", 409),
            ("elsewhere", "{}", 404),
        ] {
            let (status, said) = post(&console, &format!("/api/lessons/{path}"), &own, body).await;
            assert_eq!(
                (status, &said["errors"][0]["code"]),
                (expected, &json!(expected)),
                "{path} {body:.40}"
            );
        }
    }

    #[actix_web::test]
    async fn where_there_is_no_lab_the_lesson_says_so_and_is_over() {
        let console = sample::console();
        let token = sample::token(&console).await;
        let headers = [JSON, ("x-console-token", token.as_str())];
        assert_eq!(post(&console, "/api/lessons/stage", &headers, r#"{"name":"poison"}"#).await.0, 202);
        let why = loop {
            let now = console.lessons.lock().as_ref().map(CurrentLesson::to_json).unwrap();
            if now["state"] == "over" {
                break now["why"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(why.contains("the lab is not running"), "{why}");
    }
}
