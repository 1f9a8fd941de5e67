"""The published `postgrest` of supabase-py against a server with orders.sql: reads, writes, calls, row security.

env: REST_URL, ANON_KEY, SERVICE_KEY, JWT_SECRET. Each step says PASS or FAIL; the exit code is 1 if one failed.
"""

import base64
import hashlib
import hmac
import json
import os
import time
import uuid

import httpx
from postgrest import APIError, SyncPostgrestClient

from steps import run, same, step

URL = os.environ["REST_URL"]
ANON, SERVICE, SECRET = os.environ["ANON_KEY"], os.environ["SERVICE_KEY"], os.environ["JWT_SECRET"]


def encoded(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims, key=SECRET):
    now = int(time.time())
    claims = {"aud": "authenticated", "role": "authenticated", "iat": now, "exp": now + 600, **claims}
    head = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(claims)}"
    return f"{head}.{encoded(hmac.new(key.encode(), head.encode(), hashlib.sha256).digest())}"


def client(key, bearer=None):
    return SyncPostgrestClient(URL, headers={"apikey": key, "Authorization": f"Bearer {bearer or key}"})


ID_A, ID_B = str(uuid.uuid4()), str(uuid.uuid4())
anon, service = client(ANON), client(SERVICE)
a, b = client(ANON, token({"sub": ID_A})), client(ANON, token({"sub": ID_B}))
ids, products = [], {}


def refused(query, code):
    try:
        answer = query.execute()
    except APIError as error:
        same(error.code, code, "code")
        return error
    raise AssertionError(f"expected {code}, got {answer.data!r}")


def rows(query):
    return query.execute().data


@step
def select_as_anon():
    found = rows(anon.from_("products").select("id,name,price").order("id"))
    same([row["name"] for row in found], ["apple", "bread", "cheese"], "rows in order")
    same(found[0]["price"], 1.5, "a numeric is a number")
    products.update({row["name"]: row["id"] for row in found})


@step
def insert_returns_the_row():
    [row] = rows(a.from_("orders").insert({"product_id": products["apple"], "qty": 2, "note": "first"}))
    same(row["user_id"], ID_A, "the owner comes from the token")
    uuid.UUID(row["id"])
    ids.append(row["id"])


@step
def insert_of_several_rows():
    found = rows(
        a.from_("orders").insert(
            [
                {"product_id": products["bread"], "qty": 1, "note": "second"},
                {"product_id": products["cheese"], "qty": 5, "note": 'Third, "quoted"'},
                {"product_id": products["cheese"], "qty": 9, "note": None},
            ]
        )
    )
    same(len(found), 3, "rows")
    ids.extend(row["id"] for row in found)


@step
def filters():
    def quantities(narrow):
        return [row["qty"] for row in rows(narrow(a.from_("orders").select("qty")).order("qty"))]

    same(quantities(lambda q: q.eq("qty", 2)), [2], "eq")
    same(quantities(lambda q: q.neq("qty", 2)), [1, 5, 9], "neq")
    same(quantities(lambda q: q.gt("qty", 1).lte("qty", 5)), [2, 5], "gt and lte")
    same(quantities(lambda q: q.in_("qty", [1, 9])), [1, 9], "in")
    same(quantities(lambda q: q.is_("note", "null")), [9], "is null")
    same(quantities(lambda q: q.not_.is_("note", "null")), [1, 2, 5], "not is null")
    same(quantities(lambda q: q.ilike("note", "THIRD%")), [5], "ilike")
    same(quantities(lambda q: q.like("note", "%nd")), [1], "like")
    same(quantities(lambda q: q.or_("qty.eq.1,and(qty.gt.4,qty.lt.9)")), [1, 5], "or with nested and")
    same(quantities(lambda q: q.eq("note", 'Third, "quoted"')), [5], "reserved characters")
    same(quantities(lambda q: q.in_("note", ['Third, "quoted"', "first"])), [2, 5], "reserved characters in a list")
    # A list is written as an array of PostgreSQL, which is no JSON.
    refused(anon.from_("products").select("name").contains("tags", ["dairy"]), "22P02")
    dairy = rows(anon.from_("products").select("name").filter("tags", "cs", '["dairy"]'))
    same([row["name"] for row in dairy], ["cheese"], "contains")


@step
def order_range_count():
    answer = a.from_("orders").select("qty", count="exact").order("qty", desc=True).range(1, 2).execute()
    same([row["qty"] for row in answer.data], [5, 2], "range")
    same(answer.count, 4, "count")
    head = a.from_("orders").select("*", count="exact", head=True).execute()
    same((head.count, head.data), (4, []), "count alone")
    [first] = rows(a.from_("orders").select("note,qty").order("note", nullsfirst=True).limit(1))
    same(first["qty"], 9, "nulls first")


@step
def columns_casts_paths():
    row = rows(a.from_("orders").select("n:qty,q:qty::text").eq("id", ids[0]).single())
    same(row, {"n": 2, "q": "2"}, "alias and cast")
    row = rows(anon.from_("products").select("first:tags->>0").eq("name", "cheese").single())
    same(row, {"first": "dairy"}, "JSON path")


@step
def embeds():
    row = rows(a.from_("orders").select("qty,product:products(name,price)").eq("id", ids[0]).single())
    same(row, {"qty": 2, "product": {"name": "apple", "price": 1.5}}, "to one")
    row = rows(
        a.from_("products").select("name,orders(qty)").eq("name", "cheese").order("qty", foreign_table="orders").single()
    )
    same(row, {"name": "cheese", "orders": [{"qty": 5}, {"qty": 9}]}, "to many")
    found = rows(a.from_("orders").select("qty,products!inner(name)").eq("products.name", "bread"))
    same(found, [{"qty": 1, "products": {"name": "bread"}}], "inner")
    row = rows(a.from_("orders").select("qty,...products(name)").eq("id", ids[0]).single())
    same(row, {"qty": 2, "name": "apple"}, "spread")


@step
def update():
    [row] = rows(a.from_("orders").update({"note": "changed"}).eq("id", ids[1]))
    same(row["note"], "changed", "note")
    minimal = a.from_("orders").update({"note": "x"}, returning="minimal").eq("id", ids[1]).execute()
    same(minimal.data, [], "nothing is returned")


@step
def upsert():
    [row] = rows(a.from_("orders").upsert({"id": ids[1], "product_id": products["bread"], "qty": 3, "note": "merged"}))
    same((row["id"], row["qty"]), (ids[1], 3), "merged")
    same(len(rows(a.from_("orders").select("id"))), 4, "no new row")
    ignored = a.from_("orders").upsert(
        {"id": ids[1], "product_id": products["bread"], "qty": 8}, on_conflict="id", ignore_duplicates=True
    )
    same(rows(ignored), [], "a duplicate is ignored")


@step
def calls():
    same(rows(a.rpc("total", {"min_qty": 5})), 7.25 * 14, "with an argument")
    same(rows(a.rpc("total", {})), 7.25 * 14 + 3 * 3 + 2 * 1.5, "by default")
    same(rows(a.rpc("total", {"min_qty": 9}, get=True)), 65.25, "by GET")
    refused(a.rpc("nope", {"a": 1}), "PGRST202")


@step
def one_row():
    nothing = str(uuid.uuid4())
    refused(a.from_("orders").select("*").eq("id", nothing).single(), "PGRST116")
    same(a.from_("orders").select("*").eq("id", nothing).maybe_single().execute(), None, "maybe")
    refused(a.from_("orders").select("*").single(), "PGRST116")


@step
def errors():
    orders = a.from_("orders")
    apple = products["apple"]
    refused(a.from_("nope").select("*"), "PGRST205")
    refused(orders.select("nope"), "42703")
    refused(orders.insert({"product_id": apple, "qty": 1, "nope": 1}), "PGRST204")
    refused(orders.insert({"product_id": apple, "qty": 0}), "23514")
    refused(orders.insert({"product_id": -1, "qty": 1}), "23503")
    refused(orders.insert({"id": ids[0], "product_id": apple, "qty": 1}), "23505")
    refused(orders.select("*").eq("id", "not-a-uuid"), "22P02")
    error = refused(orders.select("qty,nope(id)"), "PGRST200")
    assert error.message and error.details, "an error has a message and details"


@step
def csv():
    text = rows(anon.from_("products").select("id,name").eq("name", "apple").csv())
    same(text.strip(), f"id,name\n{products['apple']},apple", "CSV")


@step
def b_does_not_see_what_is_a_s():
    same(rows(b.from_("orders").select("*")), [], "all rows")
    same(rows(b.from_("orders").select("*").eq("id", ids[0])), [], "by id")
    same(b.from_("orders").select("*", count="exact", head=True).execute().count, 0, "count")
    embedded = rows(b.from_("products").select("orders(id)"))
    same([row["orders"] for row in embedded], [[], [], []], "through an embed")
    same(rows(b.rpc("total", {})), 0, "through a function")


@step
def b_does_not_change_what_is_a_s():
    same(rows(b.from_("orders").update({"note": "stolen"}).eq("id", ids[0])), [], "update")
    same(rows(b.from_("orders").delete().eq("id", ids[0])), [], "delete")
    refused(b.from_("orders").upsert({"id": ids[0], "product_id": products["apple"], "qty": 1}), "42501")
    same(rows(a.from_("orders").select("note").eq("id", ids[0]).single())["note"], "first", "as it was")


@step
def b_does_not_write_as_a():
    refused(b.from_("orders").insert({"product_id": products["apple"], "qty": 1, "user_id": ID_A}), "42501")
    [own] = rows(b.from_("orders").insert({"product_id": products["apple"], "qty": 1}))
    refused(b.from_("orders").update({"user_id": ID_A}).eq("id", own["id"]), "42501")
    same(len(rows(b.from_("orders").delete().eq("id", own["id"]))), 1, "own row deleted")


@step
def anon_neither_sees_nor_writes():
    same(rows(anon.from_("orders").select("*")), [], "select")
    refused(anon.from_("orders").insert({"product_id": products["apple"], "qty": 1, "user_id": ID_A}), "42501")


@step
def tokens_that_do_not_hold_are_refused():
    def status(bearer):
        headers = {"apikey": ANON, "Authorization": f"Bearer {bearer}"}
        return httpx.get(f"{URL}/orders", headers=headers).status_code

    head, claims, signature = token({"sub": ID_A}).split(".")
    same(status(f"{head}.{encoded({'sub': ID_A, 'role': 'service_role'})}.{signature}"), 401, "forged")
    same(status(f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}."), 401, "not signed")
    same(status(token({"sub": ID_A, "exp": int(time.time()) - 3600})), 401, "expired")
    same(status(token({"sub": ID_A}, "another secret of forty characters, and")), 401, "another secret")
    same(status(f"{head}.{claims}.{signature}"), 200, "the real one")


@step
def the_service_key_sees_every_row():
    same(len(rows(service.from_("orders").select("*").in_("id", ids))), 4, "rows")


@step
def delete():
    same([row["qty"] for row in rows(a.from_("orders").delete().eq("id", ids[3]))], [9], "the deleted row")
    minimal = a.from_("orders").delete(returning="minimal").in_("id", [ids[2]]).execute()
    same(minimal.data, [], "nothing is returned")
    same(len(rows(service.from_("orders").select("id"))), 2, "what is left")


run()
