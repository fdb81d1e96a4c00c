/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose a plain array is that was one of a cluster: P1, P2, and what is damaged. */
#include "tests/unit/help.h"

#include <errno.h>
#include <string.h>

#include "bitmap/owner.h"

enum { MARK_AT = MD_SB_BYTES - SECTOR_BYTES };

struct made {
	struct md_sb sb;
	uint8_t block[MD_SB_BYTES];
	struct md_owner owner;
};

/* A plain member of "NAME" that left cluster alpha, HOST's. */
static void make(struct made *m, const char *name, const char *host)
{
	struct err err = ERR_INIT;
	struct md_owner owner = { .cluster = "alpha" };

	memset(m, 0, sizeof(*m));
	memset(m->sb.set_uuid, 0x5a, sizeof(m->sb.set_uuid));
	m->sb.max_dev = 128;
	assert_ok(md_sb_set_name(&m->sb, name, &err), err);
	snprintf(owner.host, sizeof(owner.host), "%s", host);
	assert_true(md_owner_mark(&m->sb, m->block, &owner));
}

static bool read_back(struct made *m)
{
	return md_owner_read(&m->sb, m->block, &m->owner);
}

static void a_mark_tells_host_and_cluster(void **state)
{
	struct made m;

	(void)state;
	make(&m, "web", "node1.example.org");
	assert_true(read_back(&m));
	assert_string_equal(m.owner.host, "node1.example.org");
	assert_string_equal(m.owner.cluster, "alpha");
	md_owner_erase(&m.sb, m.block);
	assert_false(read_back(&m));
}

/* Its place is a promise to md: behind all that md reads or writes. */
static void no_byte_but_of_the_last_sector_is_touched(void **state)
{
	struct made m;

	(void)state;
	make(&m, "web", "node1");
	for (size_t i = 0; i < MARK_AT; i++)
		assert_int_equal(m.block[i], 0);
	memset(m.block, 0xee, sizeof(m.block));
	md_owner_erase(&m.sb, m.block); /* somebody else's bytes */
	assert_int_equal(m.block[MARK_AT], 0xee);
}

static void P1_a_mark_on_a_clustered_array_is_nothing(void **state)
{
	struct made m;

	(void)state;
	make(&m, "web", "node1");
	m.sb.feature_map |= MD_FEATURE_CLUSTERED;
	assert_false(read_back(&m));
}

static void P1_a_mark_of_another_array_is_nothing(void **state)
{
	struct made m;

	(void)state;
	make(&m, "web", "node1");
	m.sb.set_uuid[15] ^= 1;
	assert_false(read_back(&m));
}

static void P1_roles_are_no_mark(void **state)
{
	const struct md_owner owner = { .host = "node1" };
	struct made m;

	(void)state;
	make(&m, "web", "node1");
	m.sb.max_dev = 1665;
	assert_false(read_back(&m));
	assert_false(md_owner_mark(&m.sb, m.block, &owner));
	m.sb.max_dev = 1664;
	assert_true(read_back(&m));
}

static void a_mark_with_any_byte_changed_is_nothing(void **state)
{
	struct made m;

	(void)state;
	make(&m, "web", "node1");
	for (size_t i = 0; i < 168; i++) {
		m.block[MARK_AT + i] ^= 0x40;
		assert_false(read_back(&m));
		m.block[MARK_AT + i] ^= 0x40;
	}
	assert_true(read_back(&m));
}

/* mdadm --update=homehost, or mdcluster update --homehost */
static void P2_the_host_of_the_name_goes_before_the_marks(void **state)
{
	struct made m;

	(void)state;
	make(&m, "node2:web", "node1.example.org");
	assert_true(read_back(&m));
	assert_string_equal(m.owner.host, "node2");
	make(&m, "node1:web", "node1.example.org");
	assert_true(read_back(&m));
	assert_string_equal(m.owner.host, "node1.example.org");
}

static const char *renamed(const char *name, const char *host)
{
	static char to[MD_NAME_BYTES + 1];
	struct err err = ERR_INIT;
	struct md_sb sb = { .max_dev = 128 };

	assert_ok(md_sb_set_name(&sb, name, &err), err);
	assert_ok(md_owner_rename(&sb, host, &err), err);
	return md_sb_name(&sb, to);
}

static void a_name_gets_its_hosts_short_name_where_that_fits(void **state)
{
	(void)state;
	assert_string_equal(renamed("web", "node1.example.org"), "node1:web");
	assert_string_equal(renamed("node2:web", "node1"), "node1:web");
	assert_string_equal(renamed("node2:web", "any"), "any:web");
	assert_string_equal(renamed("node2:0123456789012345678901", "node-one"),
			    "node-one:0123456789012345678901");
	/* of node2 it is not any more, whatever fits */
	assert_string_equal(renamed("node2:0123456789012345678901234", "node-one"),
			    "0123456789012345678901234");
}

static void no_name_of_a_host_is_refused(void **state)
{
	static const char *const wrong[] = { "", ".example.org", "a:b", "a b", "a/b" };
	struct md_sb sb = { .max_dev = 128 };
	char longer[MD_OWNER_HOST_BYTES + 2];
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(md_sb_set_name(&sb, "web", &err), err);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_refused(md_owner_rename(&sb, wrong[i], &err), -EINVAL, err, wrong[i],
			       "name of a host");
		err = (struct err)ERR_INIT;
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_refused(md_owner_rename(&sb, longer, &err), -EINVAL, err, "name of a host");
}

static bool has(const char *owner, const char *host)
{
	struct md_owner o = { .cluster = "" };

	snprintf(o.host, sizeof(o.host), "%s", owner);
	return md_owner_is(&o, host);
}

static void a_domain_counts_where_both_have_one(void **state)
{
	(void)state;
	assert_true(has("node1", "node1"));
	assert_true(has("node1", "node1.example.org"));
	assert_true(has("node1.example.org", "node1"));
	assert_true(has("any", "node7"));
	assert_false(has("node1.example.org", "node1.example.net"));
	assert_false(has("node1", "node10"));
	assert_false(has("node10", "node1"));
	assert_false(has("node1", ""));
	assert_false(has("node1", "localhost"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_tells_host_and_cluster),
		cmocka_unit_test(no_byte_but_of_the_last_sector_is_touched),
		cmocka_unit_test(P1_a_mark_on_a_clustered_array_is_nothing),
		cmocka_unit_test(P1_a_mark_of_another_array_is_nothing),
		cmocka_unit_test(P1_roles_are_no_mark),
		cmocka_unit_test(a_mark_with_any_byte_changed_is_nothing),
		cmocka_unit_test(P2_the_host_of_the_name_goes_before_the_marks),
		cmocka_unit_test(a_name_gets_its_hosts_short_name_where_that_fits),
		cmocka_unit_test(no_name_of_a_host_is_refused),
		cmocka_unit_test(a_domain_counts_where_both_have_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
