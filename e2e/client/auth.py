"""The published `supabase_auth` of supabase-py against a server: sign-up, sign-in, sessions, sign-out, administration.

env: AUTH_URL, REST_URL, ANON_KEY, SERVICE_KEY. Each step says PASS or FAIL; the exit code is 1 if one failed.
"""

import os
import uuid

import httpx
from supabase_auth import SyncGoTrueClient
from supabase_auth.errors import AuthApiError, AuthSessionMissingError, AuthWeakPasswordError

from steps import run, same, step

URL, REST = os.environ["AUTH_URL"], os.environ["REST_URL"]
ANON, SERVICE = os.environ["ANON_KEY"], os.environ["SERVICE_KEY"]
PASSWORD = "correct horse 7 battery"
EMAIL = f"{uuid.uuid4()}@example.com"


def client(key=ANON):
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    return SyncGoTrueClient(url=URL, headers=headers, auto_refresh_token=False, persist_session=True)


def refused(call, code, kind=AuthApiError):
    try:
        call()
    except kind as error:
        same(error.code, code, "code")
        return error
    raise AssertionError(f"expected {code}")


def reads(token):
    headers = {"apikey": ANON, "Authorization": f"Bearer {token}"}
    return httpx.get(f"{REST}/orders", headers=headers).status_code


ann, tab, admin = client(), client(), client(SERVICE).admin


@step
def sign_up_gives_a_user_and_a_session():
    answer = ann.sign_up({"email": EMAIL, "password": PASSWORD, "options": {"data": {"name": "Ann"}}})
    same(answer.user.email, EMAIL, "address")
    same(answer.user.user_metadata["name"], "Ann", "data")
    same(answer.session.token_type, "bearer", "token type")
    same([identity.provider for identity in answer.user.identities], ["email"], "identities")
    refused(lambda: client().sign_up({"email": EMAIL, "password": PASSWORD}), "user_already_exists")


@step
def a_weak_password_says_why():
    credentials = {"email": f"{uuid.uuid4()}@example.com", "password": "x"}
    error = refused(lambda: client().sign_up(credentials), "weak_password", AuthWeakPasswordError)
    same(error.reasons, ["length"], "reasons")


@step
def sign_in_with_the_right_password_only():
    answer = tab.sign_in_with_password({"email": EMAIL, "password": PASSWORD})
    same(answer.user.id, ann.get_user().user.id, "user")
    wrong = {"email": EMAIL, "password": "wrong horse"}
    same(refused(lambda: client().sign_in_with_password(wrong), "invalid_credentials").status, 400, "status")
    unknown = {"email": "nobody@example.com", "password": PASSWORD}
    refused(lambda: client().sign_in_with_password(unknown), "invalid_credentials")


@step
def the_claims_are_verified_with_the_published_keys():
    claims = ann.get_claims()["claims"]
    same((claims["sub"], claims["role"], claims["aal"]), (ann.get_user().user.id, "authenticated", "aal1"), "claims")


@step
def the_token_opens_the_data_api():
    same(reads(ann.get_session().access_token), 200, "status")


@step
def the_user_changes_its_own_data():
    answer = ann.update_user({"data": {"city": "Oslo"}})
    same(answer.user.user_metadata["city"], "Oslo", "data")
    same(answer.user.user_metadata["name"], "Ann", "what was there")


@step
def a_refresh_rotates():
    before = ann.get_session()
    after = ann.refresh_session().session
    assert after.refresh_token != before.refresh_token, "the refresh token is the same"
    same(after.user.id, before.user.id, "user")
    again = client().set_session(after.access_token, after.refresh_token)
    same(again.user.id, before.user.id, "user of the session that was set")
    refused(lambda: client().refresh_session("abcdefghijkl"), "refresh_token_not_found")


@step
def signing_the_others_out_ends_them_everywhere():
    other = tab.get_session().access_token
    same(reads(other), 200, "before")
    ann.sign_out({"scope": "others"})
    same(reads(other), 401, "the other's token")
    refused(lambda: client().get_user(other), "session_not_found")
    same(reads(ann.get_session().access_token), 200, "its own")


@step
def an_administrator_makes_changes_lists_and_deletes_users():
    email = f"{uuid.uuid4()}@example.com"
    made = admin.create_user({"email": email, "password": PASSWORD, "email_confirm": True}).user
    bob = client()
    bob.sign_in_with_password({"email": email, "password": PASSWORD})
    same(admin.get_user_by_id(made.id).user.email, email, "address")
    assert made.id in [user.id for user in admin.list_users()], "the user is not listed"
    changed = admin.update_user_by_id(made.id, {"app_metadata": {"plan": "pro"}, "ban_duration": "1h"}).user
    same(changed.app_metadata["plan"], "pro", "data")
    same(reads(bob.get_session().access_token), 401, "a banned user's token")
    refused(lambda: client().sign_in_with_password({"email": email, "password": PASSWORD}), "user_banned")
    admin.delete_user(made.id)
    refused(lambda: admin.get_user_by_id(made.id), "user_not_found")
    refused(lambda: client(ann.get_session().access_token).admin.list_users(), "not_admin")


@step
def sign_out_ends_the_session():
    token = ann.get_session().access_token
    ann.sign_out()
    same(ann.get_session(), None, "session")
    same(reads(token), 401, "the token")
    refused(ann.refresh_session, None, AuthSessionMissingError)


run()
