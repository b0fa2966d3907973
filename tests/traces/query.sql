-- What query.trace records: tables are filled, indexed, joined, sorted, changed and packed. See tools/trace.sh.
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, note TEXT, kind INTEGER);
WITH RECURSIVE count(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM count WHERE x < 6000)
INSERT INTO item SELECT x, 'name ' || (x * 7919 % 6000), hex(zeroblob(x * 31 % 300)), x * x % 997 FROM count;
CREATE INDEX by_name ON item(name);
CREATE INDEX by_kind ON item(kind, name);
SELECT kind, count(*), group_concat(name) FROM item GROUP BY kind ORDER BY 2 DESC;
SELECT a.name, b.name FROM item a JOIN item b ON a.kind = b.id WHERE a.note LIKE '%00%' ORDER BY a.name;
UPDATE item SET note = note || name WHERE kind % 3 = 0;
DELETE FROM item WHERE kind % 5 = 1;
VACUUM;
