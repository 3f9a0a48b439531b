// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of iommu_user_domain_data(): the blobs that a driver accepts as
 * its parameters, and the resulting struct.
 *
 * The loops run many thousand times. They compare in plain code and report only
 * the first failure to KUnit.
 */
#include <kunit/test.h>
#include <linux/iommu-user-domain.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#define TEST_DATA_TYPE	0x40000007
#define GARBAGE		0xa5

/* Has grown once: the first version ended with @b */
struct test_data {
	__u64 a;
	__u32 b;
	__u32 c;
	__u64 d;
};

#define FIRST_VERSION	offsetofend(struct test_data, b)
#define FULL		sizeof(struct test_data)

/* Has never grown */
struct test_data_v1 {
	__le64 word[2];
};

/* The helper may write only to @data */
struct test_guarded {
	u8 before[16];
	struct test_data data;
	u8 after[16];
};

/* Valid bytes differ only by their offset, and depend on nothing else */
static u8 pattern(size_t i)
{
	return 1 + i % 251;
}

/*
 * The blob ends at the end of the test's page, where KASAN detects a read
 * beyond. Its first @fill bytes have a pattern, the rest is zero. The page has
 * garbage before the blob.
 */
static u8 *make_blob(struct kunit *test, size_t len, size_t fill)
{
	u8 *page = test->priv;
	u8 *blob = page + PAGE_SIZE - len;
	size_t i;

	memset(page, GARBAGE, PAGE_SIZE - len);
	for (i = 0; i != len; i++)
		blob[i] = i < fill ? pattern(i) : 0;
	return blob;
}

static int read_blob(struct test_guarded *dst, const void *data, size_t len,
		     u32 type)
{
	const struct iommu_user_domain_params params = {
		.data_type = type,
		.data = data,
		.data_len = len,
	};

	memset(dst, GARBAGE, sizeof(*dst));
	return iommu_user_domain_data(&dst->data, &params, TEST_DATA_TYPE, b);
}

static bool is_untouched(const struct test_guarded *dst)
{
	return !memchr_inv(dst, GARBAGE, sizeof(*dst));
}

/* Pattern in the first @len bytes, then zeros, and no write elsewhere */
static bool holds_pattern(const struct test_guarded *dst, size_t len)
{
	const u8 *data = (const u8 *)&dst->data;
	size_t i;

	for (i = 0; i != FULL; i++)
		if (data[i] != (i < len ? pattern(i) : 0))
			return false;
	return !memchr_inv(dst->before, GARBAGE, sizeof(dst->before)) &&
	       !memchr_inv(dst->after, GARBAGE, sizeof(dst->after));
}

static void test_wrong_type(struct kunit *test)
{
	static const u32 types[] = {
		0, 1, 2, TEST_DATA_TYPE - 1, TEST_DATA_TYPE + 1,
		TEST_DATA_TYPE | BIT(31), TEST_DATA_TYPE & 0xffff, U32_MAX,
	};
	const u8 *blob = make_blob(test, FULL, FULL);
	struct test_guarded dst;
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(types); i++) {
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    read_blob(&dst, blob, FULL, types[i]),
				    "type %#x", types[i]);
		KUNIT_EXPECT_TRUE_MSG(test, is_untouched(&dst), "type %#x",
				      types[i]);
	}

	/* The length of a blob of another type does not matter */
	blob = make_blob(test, PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EINVAL, read_blob(&dst, blob, PAGE_SIZE, 0));
	KUNIT_EXPECT_TRUE(test, is_untouched(&dst));
}

static void test_no_data(struct kunit *test)
{
	struct test_guarded dst;

	/* Arguments of the core for IOMMU_HWPT_DATA_NONE (0) */
	KUNIT_EXPECT_EQ(test, -EINVAL, read_blob(&dst, NULL, 0, 0));
	KUNIT_EXPECT_TRUE(test, is_untouched(&dst));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			read_blob(&dst, NULL, 0, TEST_DATA_TYPE));
	KUNIT_EXPECT_TRUE(test, is_untouched(&dst));
}

static void test_too_short(struct kunit *test)
{
	struct test_guarded dst;
	size_t len;

	for (len = 0; len != FIRST_VERSION; len++) {
		const u8 *blob = make_blob(test, len, len);

		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    read_blob(&dst, blob, len, TEST_DATA_TYPE),
				    "length %zu", len);
		KUNIT_EXPECT_TRUE_MSG(test, is_untouched(&dst), "length %zu",
				      len);
	}
}

/* From the first version to all known members: the rest is zero */
static void test_up_to_full(struct kunit *test)
{
	struct test_guarded dst;
	size_t len;

	for (len = FIRST_VERSION; len <= FULL; len++) {
		const u8 *blob = make_blob(test, len, len);

		KUNIT_EXPECT_EQ_MSG(test, 0,
				    read_blob(&dst, blob, len, TEST_DATA_TYPE),
				    "length %zu", len);
		KUNIT_EXPECT_TRUE_MSG(test, holds_pattern(&dst, len),
				      "length %zu", len);
	}
}

/* User space of a later kernel that does not use new members */
static void test_zero_tail(struct kunit *test)
{
	struct test_guarded dst;
	size_t len;

	for (len = FULL + 1; len <= PAGE_SIZE; len++) {
		const u8 *blob = make_blob(test, len, FULL);
		int ret = read_blob(&dst, blob, len, TEST_DATA_TYPE);

		if (ret || !holds_pattern(&dst, FULL))
			KUNIT_FAIL_AND_ABORT(test, "length %zu: %d", len, ret);
	}
}

static void expect_e2big(struct kunit *test, u8 *blob, size_t len, size_t pos,
			 u8 value)
{
	struct test_guarded dst;
	int ret;

	blob[pos] = value;
	ret = read_blob(&dst, blob, len, TEST_DATA_TYPE);
	blob[pos] = 0;
	if (ret != -E2BIG || !is_untouched(&dst))
		KUNIT_FAIL_AND_ABORT(test, "length %zu, %#x at %zu: %d", len,
				     value, pos, ret);
}

/* User space of a later kernel that uses new members: refused */
static void test_non_zero_tail(struct kunit *test)
{
	const size_t near = FULL + 72;
	size_t len, pos;
	unsigned int value;
	u8 *blob;

	/* Each byte of short tails, on both sides of word boundaries */
	for (len = FULL + 1; len <= near; len++) {
		blob = make_blob(test, len, FULL);
		for (pos = FULL; pos != len; pos++)
			expect_e2big(test, blob, len, pos, BIT(pos % 8));
	}
	/* First, middle and last byte of a tail of any length */
	for (; len <= PAGE_SIZE; len++) {
		blob = make_blob(test, len, FULL);
		expect_e2big(test, blob, len, FULL, BIT(len % 8));
		expect_e2big(test, blob, len, (FULL + len) / 2, BIT(len % 8));
		expect_e2big(test, blob, len, len - 1, BIT(len % 8));
	}
	/* Each byte of the longest tail */
	blob = make_blob(test, PAGE_SIZE, FULL);
	for (pos = FULL; pos != PAGE_SIZE; pos++)
		expect_e2big(test, blob, PAGE_SIZE, pos, BIT(pos % 8));
	/* Each value of a byte */
	for (value = 1; value <= U8_MAX; value++)
		expect_e2big(test, blob, PAGE_SIZE, FULL, value);
}

/* A struct with only one version is never padded */
static void test_one_version(struct kunit *test)
{
	struct iommu_user_domain_params params = {
		.data_type = TEST_DATA_TYPE,
	};
	struct test_data_v1 dst, want;
	size_t len;
	int ret;

	for (len = 0; len <= sizeof(dst) + 16; len++) {
		params.data = make_blob(test, len, sizeof(dst));
		params.data_len = len;
		memset(&dst, GARBAGE, sizeof(dst));
		ret = iommu_user_domain_data(&dst, &params, TEST_DATA_TYPE,
					     word);
		if (len < sizeof(dst)) {
			memset(&want, GARBAGE, sizeof(want));
			KUNIT_EXPECT_EQ_MSG(test, -EINVAL, ret, "length %zu",
					    len);
		} else {
			memcpy(&want, params.data, sizeof(want));
			KUNIT_EXPECT_EQ_MSG(test, 0, ret, "length %zu", len);
		}
		KUNIT_EXPECT_MEMEQ(test, &want, &dst, sizeof(want));
	}
}

static int iommu_user_domain_test_init(struct kunit *test)
{
	test->priv = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static struct kunit_case iommu_user_domain_test_cases[] = {
	KUNIT_CASE(test_wrong_type),
	KUNIT_CASE(test_no_data),
	KUNIT_CASE(test_too_short),
	KUNIT_CASE(test_up_to_full),
	KUNIT_CASE(test_zero_tail),
	KUNIT_CASE(test_non_zero_tail),
	KUNIT_CASE(test_one_version),
	{},
};

static struct kunit_suite iommu_user_domain_test_suite = {
	.name = "iommu-user-domain",
	.init = iommu_user_domain_test_init,
	.test_cases = iommu_user_domain_test_cases,
};

kunit_test_suites(&iommu_user_domain_test_suite);

MODULE_DESCRIPTION("KUnit tests for parameters of user domains");
MODULE_LICENSE("GPL");
