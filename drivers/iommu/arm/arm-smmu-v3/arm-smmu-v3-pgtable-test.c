// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of arm_smmu_choose_pgtable(): the page table that an SMMU gets
 * for a request, or the error.
 *
 * The oracle lists the six candidates, each with its sets of possible values.
 * It takes the first one that meets the whole request. Page sizes are literal
 * numbers. Expectations hold for any page size and VA_BITS of the kernel. The
 * loops run some hundred thousand times. They compare in plain code and report
 * only the first failure to KUnit.
 *
 * The last test covers io-pgtable: which tables a cgroup is charged for.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/io-pgtable.h>
#include <linux/iommufd.h>
#include <linux/module.h>

#include "arm-smmu-v3-pgtable.h"

#define S1		ARM_SMMU_FEAT_TRANS_S1
#define S2		ARM_SMMU_FEAT_TRANS_S2
#define NESTING		ARM_SMMU_FEAT_NESTING
#define VAX		ARM_SMMU_FEAT_VAX
#define TYPICAL		(S1 | S2 | NESTING)

#define NEST_PARENT	IOMMU_HWPT_ALLOC_NEST_PARENT
#define DIRTY		IOMMU_HWPT_ALLOC_DIRTY_TRACKING

/* Page and block sizes of each granule, and the block for 52-bit addresses */
#define SIZES_4K	0x0000000040201000UL
#define SIZES_16K	0x0000000002004000UL
#define SIZES_64K	0x0000000020010000UL
#define SIZE_4T		0x0000040000000000UL
#define SIZES_ALL	(SIZES_4K | SIZES_16K | SIZES_64K)

/* Column of a table that has one column per CPU page size */
#define PAGE_COLUMN	((PAGE_SHIFT - 12) / 2)

struct test_smmu {
	u32 features;
	unsigned long sizes;
	unsigned int ias;
	unsigned int oas;
};

/* Sets of small numbers; 0 leaves the choice to the driver */
#define ONE(x)		BIT_ULL(x)
#define RANGE(lo, hi)	GENMASK_ULL(hi, lo)

static bool is_in(u64 set, u32 x)
{
	return x < 64 && (set >> x & 1);
}

static unsigned int largest(u64 set)
{
	return __fls(set);
}

/* Values of the architecture, without 0 */
static const u64 arch_stages = ONE(1) | ONE(2);
static const u64 arch_inputs = RANGE(16, 56);
static const u64 arch_outputs = ONE(32) | ONE(36) | ONE(40) | ONE(42) |
				ONE(44) | ONE(48) | ONE(52) | ONE(56);
static const u64 arch_granules = ONE(12) | ONE(14) | ONE(16);

/* The default is the first granule in the column that is possible */
static const unsigned int granule_order[3][3] = {
	{ 12, 14, 16 },
	{ 14, 12, 16 },
	{ 16, 14, 12 },
};

static const struct {
	unsigned int shift;
	unsigned long sizes;
	unsigned int bits; /* of a descriptor's address */
} granules[] = {
	{ 12, SIZES_4K, 48 },
	{ 14, SIZES_16K, 48 },
	{ 16, SIZES_64K, 52 },
};

/* SMMU features that a stage needs for some flags; no SMMU has NEVER */
#define NEVER		(~0U)

static const struct {
	u32 flags;
	u32 needs[3]; /* by stage */
} flag_rules[] = {
	{ 0, { 0, S1, S2 } },
	{ NEST_PARENT, { 0, NEVER, S2 | NESTING } },
	{ DIRTY, { 0, S1, NEVER } },
	{ NEST_PARENT | DIRTY, { 0, NEVER, NEVER } },
};

struct candidate {
	unsigned int stage;
	unsigned long sizes;
	/* Values that can be asked for, and the default */
	u64 stages;
	u64 inputs;
	u64 outputs;
	u64 granules;
	unsigned int input;
	unsigned int output;
};

#define NR_CANDIDATES	6

static u64 allowed_inputs(const struct test_smmu *smmu, unsigned int stage,
			  unsigned int bits)
{
	/* Smaller sizes need small translation tables */
	u64 inputs = RANGE(25, 52) & RANGE(0, bits);

	if (stage == 2)
		return inputs & RANGE(0, smmu->ias);
	if (!(smmu->features & VAX))
		inputs &= ~RANGE(49, 52);
	return inputs & RANGE(0, VA_BITS);
}

/* List candidates whose granule @smmu has, in order of preference */
static unsigned int list_candidates(struct candidate *list,
				    const struct test_smmu *smmu)
{
	unsigned int stage, i, n = 0;

	for (stage = 1; stage <= 2; stage++) {
		for (i = 0; i != 3; i++) {
			unsigned int shift = granule_order[PAGE_COLUMN][i];
			unsigned int g = (shift - 12) / 2;
			unsigned int bits = granules[g].bits;
			struct candidate *c = &list[n];

			if (!is_in(smmu->sizes, shift))
				continue;
			c->stage = stage;
			c->sizes = smmu->sizes & granules[g].sizes;
			c->stages = ONE(0) | ONE(stage);
			c->inputs = allowed_inputs(smmu, stage, bits);
			c->input = largest(c->inputs);
			c->outputs = arch_outputs & RANGE(0, bits) &
				     RANGE(0, smmu->oas);
			/* Linux limits the output of stage 1 to the IPA size */
			c->output = largest(arch_outputs & RANGE(0, bits) &
					    RANGE(0, stage == 1 ? smmu->ias :
								  smmu->oas));
			c->granules = ONE(0);
			if (shift <= PAGE_SHIFT)
				c->granules |= ONE(shift);
			c->inputs |= ONE(0);
			c->outputs |= ONE(0);
			n++;
		}
	}
	return n;
}

static int expected(struct arm_smmu_pgtable *shape, const struct candidate *c,
		    unsigned int nr, const struct test_smmu *smmu,
		    const u32 *needs,
		    const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	u64 room;
	bool asks;

	if (!is_in(arch_stages | ONE(0), want->stage) ||
	    !is_in(arch_inputs | ONE(0), want->input_bits) ||
	    !is_in(arch_outputs | ONE(0), want->output_bits) ||
	    !is_in(arch_granules | ONE(0), want->granule_shift))
		return -EINVAL;

	asks = want->stage || want->input_bits || want->output_bits ||
	       want->granule_shift || needs[1] == NEVER;
	for (; nr; nr--, c++) {
		if (~smmu->features & needs[c->stage])
			continue;
		/* Only the kernel can use pages larger than the CPU's */
		if (asks && c->granules == ONE(0))
			continue;
		if (!is_in(c->stages, want->stage) ||
		    !is_in(c->inputs, want->input_bits) ||
		    !is_in(c->outputs, want->output_bits) ||
		    !is_in(c->granules, want->granule_shift))
			continue;
		shape->stage = c->stage == 1 ? ARM_SMMU_DOMAIN_S1 :
					       ARM_SMMU_DOMAIN_S2;
		shape->oas = want->output_bits ?: c->output;
		room = c->inputs & ~ONE(0);
		if (asks && c->stage == 2) {
			/* The input has no more bits than the output */
			room &= RANGE(0, shape->oas);
			/* io-pgtable starts at level 1 instead of 2 */
			if (is_in(c->sizes, 14) && shape->oas <= 40)
				room &= RANGE(0, 36);
		}
		if (!is_in(room | ONE(0), want->input_bits))
			continue;
		shape->ias = want->input_bits ?: largest(room);
		shape->pgsize_bitmap = c->sizes;
		if (shape->oas == 52)
			shape->pgsize_bitmap |= smmu->sizes & SIZE_4T;
		shape->pgsize_bitmap &= RANGE(0, shape->ias - 1);
		return 0;
	}
	return -EOPNOTSUPP;
}

static bool is_same(const struct arm_smmu_pgtable *a,
		    const struct arm_smmu_pgtable *b)
{
	return a->stage == b->stage && a->ias == b->ias && a->oas == b->oas &&
	       a->pgsize_bitmap == b->pgsize_bitmap;
}

/* @priv of a test: the driver's view of an SMMU */
static const struct arm_smmu_device *set_smmu(struct kunit *test,
					      const struct test_smmu *from)
{
	struct arm_smmu_device *smmu = test->priv;

	smmu->features = from->features;
	smmu->pgsize_bitmap = from->sizes;
	smmu->ias = from->ias;
	smmu->oas = from->oas;
	return smmu;
}

/* The test ends with the first wrong choice */
static void expect(struct kunit *test, const struct arm_smmu_device *smmu,
		   u32 flags, const struct iommu_hwpt_arm_smmuv3_pgtable *want,
		   int want_ret, const struct arm_smmu_pgtable *shape)
{
	struct arm_smmu_pgtable chosen = {};
	int ret;

	ret = arm_smmu_choose_pgtable(&chosen, smmu, flags, want);
	if (ret == want_ret && (ret || is_same(&chosen, shape)))
		return;

	kunit_err(test, "SMMU: features %#x, sizes %#lx, %lu to %lu bits",
		  smmu->features, smmu->pgsize_bitmap, smmu->ias, smmu->oas);
	if (want)
		kunit_err(test,
			  "flags %#x; flags %#x, reserved %#x, stage %u, %u to %u bits, granule %u",
			  flags, want->flags, want->reserved, want->stage,
			  want->input_bits, want->output_bits,
			  want->granule_shift);
	else
		kunit_err(test, "flags %#x, no data", flags);
	if (!want_ret)
		kunit_err(test, "expected: stage %d, %u to %u bits, sizes %#lx",
			  shape->stage, shape->ias, shape->oas,
			  shape->pgsize_bitmap);
	if (!ret)
		kunit_err(test, "chosen: stage %d, %u to %u bits, sizes %#lx",
			  chosen.stage, chosen.ias, chosen.oas,
			  chosen.pgsize_bitmap);
	KUNIT_FAIL_AND_ABORT(test, "returned %d, expected %d", ret, want_ret);
}

/*
 * Comparison with the oracle
 */

struct subject {
	struct test_smmu smmu;
	const struct arm_smmu_device *device;
	struct candidate list[NR_CANDIDATES];
	unsigned int nr;
};

static void set_subject(struct kunit *test, struct subject *subject,
			const struct test_smmu *smmu)
{
	subject->smmu = *smmu;
	subject->device = set_smmu(test, smmu);
	subject->nr = list_candidates(subject->list, smmu);
}

static void expect_choice(struct kunit *test, const struct subject *subject,
			  unsigned int rule,
			  const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	struct arm_smmu_pgtable shape = {};
	int ret;

	ret = expected(&shape, subject->list, subject->nr, &subject->smmu,
		       flag_rules[rule].needs, want);
	expect(test, subject->device, flag_rules[rule].flags, want, ret,
	       &shape);
}

/* All values of all fields, and values out of range */
static void test_all_fields(struct kunit *test)
{
	static const struct test_smmu smmu = {
		TYPICAL | VAX, SIZES_ALL | SIZE_4T, 52, 52,
	};
	struct iommu_hwpt_arm_smmuv3_pgtable want = {};
	struct subject subject;

	set_subject(test, &subject, &smmu);

	for (want.stage = 0; want.stage <= 4; want.stage++)
		for (want.input_bits = 0; want.input_bits <= 65;
		     want.input_bits++)
			for (want.output_bits = 0; want.output_bits <= 65;
			     want.output_bits++)
				for (want.granule_shift = 0;
				     want.granule_shift <= 18;
				     want.granule_shift++)
					expect_choice(test, &subject, 0, &want);
}

/* Some sets can't exist, but the code need not know */
static const u32 feature_sets[] = {
	0,
	S1,
	S2,
	S1 | S2,
	S1 | S2 | NESTING,
	S1 | VAX,
	S1 | S2 | NESTING | VAX,
	S1 | NESTING,
	S2 | NESTING | VAX,
	NESTING | VAX,
};

static const unsigned long size_sets[] = {
	SIZES_4K,
	SIZES_16K,
	SIZES_64K,
	SIZES_4K | SIZES_64K,
	SIZES_ALL,
};

static const unsigned int output_sizes[] = { 32, 40, 44, 48, 52 };

#define NR_SMMUS	(ARRAY_SIZE(feature_sets) * ARRAY_SIZE(size_sets) * \
			 ARRAY_SIZE(output_sizes) * 2)

static struct test_smmu nth_smmu(unsigned int i)
{
	struct test_smmu smmu;

	smmu.features = feature_sets[i % ARRAY_SIZE(feature_sets)];
	i /= ARRAY_SIZE(feature_sets);
	smmu.sizes = size_sets[i % ARRAY_SIZE(size_sets)];
	i /= ARRAY_SIZE(size_sets);
	smmu.oas = output_sizes[i % ARRAY_SIZE(output_sizes)];
	i /= ARRAY_SIZE(output_sizes);
	/* As read from the registers, with and without AArch32 */
	smmu.ias = i ? max(smmu.oas, 40U) : smmu.oas;
	if (smmu.oas == 52)
		smmu.sizes |= SIZE_4T;
	return smmu;
}

static const u32 known_outputs[] = { 0, 32, 36, 40, 42, 44, 48, 52, 56 };
static const u32 known_granules[] = { 0, 12, 14, 16 };

/* Each SMMU with each size, one size at a time */
static void test_all_smmus(struct kunit *test)
{
	struct subject subject;
	unsigned int i, g, o;

	for (i = 0; i != NR_SMMUS; i++) {
		const struct test_smmu smmu = nth_smmu(i);
		struct iommu_hwpt_arm_smmuv3_pgtable want = {};

		set_subject(test, &subject, &smmu);
		for (want.stage = 0; want.stage <= 2; want.stage++) {
			for (g = 0; g != ARRAY_SIZE(known_granules); g++) {
				want.granule_shift = known_granules[g];
				want.output_bits = 0;
				for (want.input_bits = 16;
				     want.input_bits <= 56; want.input_bits++)
					expect_choice(test, &subject, 0, &want);
				want.input_bits = 0;
				for (o = 0; o != ARRAY_SIZE(known_outputs);
				     o++) {
					want.output_bits = known_outputs[o];
					expect_choice(test, &subject, 0, &want);
				}
			}
		}
	}
}

/* Each SMMU with all flags and a sample of the well-formed requests */
static void test_all_flags(struct kunit *test)
{
	/* Coprime to the sizes of all sets combined here */
	const unsigned int step = 37;
	const unsigned int nr_inputs = 42; /* 0 and 16 to 56 */
	const unsigned int nr_wants = 3 * nr_inputs *
				      ARRAY_SIZE(known_outputs) *
				      ARRAY_SIZE(known_granules);
	struct subject subject;
	unsigned int i, rule, n = 0;

	for (i = 0; i != NR_SMMUS; i++) {
		const struct test_smmu smmu = nth_smmu(i);

		set_subject(test, &subject, &smmu);
		for (rule = 0; rule != ARRAY_SIZE(flag_rules); rule++) {
			for (; n < nr_wants; n += step) {
				struct iommu_hwpt_arm_smmuv3_pgtable want = {};
				unsigned int rest = n;

				want.stage = rest % 3;
				rest /= 3;
				want.granule_shift = known_granules[rest % 4];
				rest /= 4;
				want.output_bits = known_outputs[rest % 9];
				rest /= 9;
				want.input_bits = rest ? 15 + rest : 0;
				expect_choice(test, &subject, rule, &want);
			}
			/* Take other requests the next time */
			n -= nr_wants;
		}
	}
}

/* Zeros and no data mean the same */
static void test_no_data(struct kunit *test)
{
	static const struct iommu_hwpt_arm_smmuv3_pgtable zeros;
	struct subject subject;
	unsigned int i, rule;

	for (i = 0; i != NR_SMMUS; i++) {
		const struct test_smmu smmu = nth_smmu(i);

		set_subject(test, &subject, &smmu);
		for (rule = 0; rule != ARRAY_SIZE(flag_rules); rule++) {
			struct arm_smmu_pgtable shape = {};
			int ret;

			expect_choice(test, &subject, rule, &zeros);
			ret = arm_smmu_choose_pgtable(&shape, subject.device,
						      flag_rules[rule].flags,
						      &zeros);
			expect(test, subject.device, flag_rules[rule].flags,
			       NULL, ret, &shape);
		}
	}
}

/*
 * Literal expectations
 */

static void expect_shape(struct kunit *test, const struct test_smmu *smmu,
			 u32 flags,
			 const struct iommu_hwpt_arm_smmuv3_pgtable *want,
			 const struct arm_smmu_pgtable *shape)
{
	expect(test, set_smmu(test, smmu), flags, want, 0, shape);
}

static void expect_error(struct kunit *test, const struct test_smmu *smmu,
			 u32 flags, int error,
			 const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	expect(test, set_smmu(test, smmu), flags, want, error, NULL);
}

#define WANT(...)	(&(struct iommu_hwpt_arm_smmuv3_pgtable){ __VA_ARGS__ })
#define SHAPE(s, i, o, sizes) \
	(&(struct arm_smmu_pgtable){ ARM_SMMU_DOMAIN_##s, i, o, sizes })

/* Without a request: the same as before user space could make one */
static void test_defaults(struct kunit *test)
{
	static const struct {
		struct test_smmu smmu;
		struct arm_smmu_pgtable shape;
	} cases[] = {
		/* Virtual machines, large and small hardware */
		{ { S1, SIZES_4K, 44, 44 },
		  { ARM_SMMU_DOMAIN_S1, 48, 44, SIZES_4K } },
		{ { TYPICAL, SIZES_4K, 48, 48 },
		  { ARM_SMMU_DOMAIN_S1, 48, 48, SIZES_4K } },
		{ { TYPICAL, SIZES_64K, 48, 48 },
		  { ARM_SMMU_DOMAIN_S1, 48, 48, SIZES_64K } },
		{ { TYPICAL, SIZES_64K | SIZE_4T, 52, 52 },
		  { ARM_SMMU_DOMAIN_S1, 48, 52, SIZES_64K | SIZE_4T } },
		{ { TYPICAL | VAX, SIZES_64K | SIZE_4T, 52, 52 },
		  { ARM_SMMU_DOMAIN_S1, 52, 52, SIZES_64K | SIZE_4T } },
		{ { TYPICAL | VAX, SIZES_16K | SIZE_4T, 52, 52 },
		  { ARM_SMMU_DOMAIN_S1, 48, 48, SIZES_16K } },
		{ { TYPICAL | VAX, SIZES_4K | SIZE_4T, 52, 52 },
		  { ARM_SMMU_DOMAIN_S1, 48, 48, SIZES_4K } },
		/* More IPA bits than PA bits */
		{ { S1 | S2, SIZES_4K, 40, 32 },
		  { ARM_SMMU_DOMAIN_S1, 48, 40, SIZES_4K } },
		{ { S2, SIZES_4K, 40, 32 },
		  { ARM_SMMU_DOMAIN_S2, 40, 32, SIZES_4K } },
		{ { S2, SIZES_4K, 32, 32 },
		  { ARM_SMMU_DOMAIN_S2, 32, 32, SIZES_4K } },
		{ { S2, SIZES_16K, 44, 44 },
		  { ARM_SMMU_DOMAIN_S2, 44, 44, SIZES_16K } },
		{ { S2, SIZES_64K | SIZE_4T, 52, 52 },
		  { ARM_SMMU_DOMAIN_S2, 52, 52, SIZES_64K | SIZE_4T } },
		{ { S2 | VAX, SIZES_4K | SIZE_4T, 52, 52 },
		  { ARM_SMMU_DOMAIN_S2, 48, 48, SIZES_4K } },
	};
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(cases); i++) {
		struct arm_smmu_pgtable shape = cases[i].shape;

		if (shape.stage == ARM_SMMU_DOMAIN_S1)
			shape.ias = min(shape.ias, (unsigned int)VA_BITS);
		expect_shape(test, &cases[i].smmu, 0, NULL, &shape);
	}
}

/* The CPU's page size first, then smaller ones, then larger ones */
static void test_default_granule(struct kunit *test)
{
	static const struct {
		unsigned long has;
		unsigned long gets[3]; /* by CPU page size */
	} cases[] = {
		{ SIZES_4K, { SIZES_4K, SIZES_4K, SIZES_4K } },
		{ SIZES_16K, { SIZES_16K, SIZES_16K, SIZES_16K } },
		{ SIZES_64K, { SIZES_64K, SIZES_64K, SIZES_64K } },
		{ SIZES_4K | SIZES_16K, { SIZES_4K, SIZES_16K, SIZES_16K } },
		{ SIZES_4K | SIZES_64K, { SIZES_4K, SIZES_4K, SIZES_64K } },
		{ SIZES_16K | SIZES_64K, { SIZES_16K, SIZES_16K, SIZES_64K } },
		{ SIZES_ALL, { SIZES_4K, SIZES_16K, SIZES_64K } },
		/* Only blocks that the SMMU has */
		{ 0x0000000000201000, { 0x201000, 0x201000, 0x201000 } },
		/* Only blocks of the granule */
		{ ~0UL, { SIZES_4K, SIZES_16K, SIZES_64K } },
		{ ~0x1000UL, { SIZES_16K, SIZES_16K, SIZES_64K } },
		{ ~0x5000UL, { SIZES_64K, SIZES_64K, SIZES_64K } },
	};
	const unsigned int va_bits = min(48, VA_BITS);
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(cases); i++) {
		const struct test_smmu smmu = { TYPICAL, cases[i].has, 44, 44 };
		const unsigned long gets = cases[i].gets[PAGE_COLUMN];

		expect_shape(test, &smmu, 0, NULL,
			     SHAPE(S1, va_bits, 44, gets));
		/* A request excludes granules larger than a page */
		if (BIT(__ffs(gets)) <= PAGE_SIZE) {
			expect_shape(test, &smmu, 0, WANT(.stage = 2),
				     SHAPE(S2, 44, 44, gets));
			expect_shape(test, &smmu, NEST_PARENT, NULL,
				     SHAPE(S2, 44, 44, gets));
		} else {
			expect_error(test, &smmu, 0, -EOPNOTSUPP,
				     WANT(.stage = 2));
			expect_error(test, &smmu, NEST_PARENT, -EOPNOTSUPP,
				     WANT());
		}
		expect_shape(test, &smmu, DIRTY, NULL,
			     SHAPE(S1, va_bits, 44, gets));
	}

	/* No page size at all, or only blocks */
	expect_error(test, &(struct test_smmu){ TYPICAL, 0, 44, 44 }, 0,
		     -EOPNOTSUPP, WANT());
	expect_error(test, &(struct test_smmu){ TYPICAL, 0x40200000, 44, 44 },
		     0, -EOPNOTSUPP, WANT());
}

/* Requested granules; iommufd can't use one larger than a page */
static void test_granules(struct kunit *test)
{
	static const struct test_smmu all = { TYPICAL, SIZES_ALL, 44, 44 };
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(granules); i++) {
		const unsigned int shift = granules[i].shift;
		const unsigned long sizes = granules[i].sizes;
		const struct test_smmu others = {
			TYPICAL, SIZES_ALL & ~sizes, 44, 44,
		};

		expect_error(test, &others, 0, -EOPNOTSUPP,
			     WANT(.granule_shift = shift));
		if (BIT(shift) > PAGE_SIZE) {
			const struct test_smmu only = { TYPICAL, sizes, 44, 44 };

			expect_error(test, &all, 0, -EOPNOTSUPP,
				     WANT(.granule_shift = shift));
			expect_error(test, &only, 0, -EOPNOTSUPP,
				     WANT(.granule_shift = shift));
			continue;
		}
		expect_shape(test, &all, 0,
			     WANT(.stage = 1, .granule_shift = shift),
			     SHAPE(S1, min(48, VA_BITS), 44, sizes));
		expect_shape(test, &all, 0,
			     WANT(.stage = 2, .granule_shift = shift),
			     SHAPE(S2, 44, 44, sizes));
	}
}

static void test_stages(struct kunit *test)
{
	static const struct test_smmu both = { S1 | S2, SIZES_4K, 44, 44 };
	static const struct test_smmu nests = { TYPICAL, SIZES_4K, 44, 44 };
	static const struct test_smmu s1 = { S1, SIZES_4K, 44, 44 };
	static const struct test_smmu s2 = { S2, SIZES_4K, 44, 44 };
	const struct arm_smmu_pgtable *stage1 =
		SHAPE(S1, min(48, VA_BITS), 44, SIZES_4K);
	const struct arm_smmu_pgtable *stage2 = SHAPE(S2, 44, 44, SIZES_4K);

	expect_shape(test, &both, 0, WANT(.stage = 0), stage1);
	expect_shape(test, &both, 0, WANT(.stage = 1), stage1);
	expect_shape(test, &both, 0, WANT(.stage = 2), stage2);

	expect_shape(test, &s1, 0, WANT(.stage = 0), stage1);
	expect_shape(test, &s1, 0, WANT(.stage = 1), stage1);
	expect_error(test, &s1, 0, -EOPNOTSUPP, WANT(.stage = 2));

	expect_shape(test, &s2, 0, WANT(.stage = 0), stage2);
	expect_error(test, &s2, 0, -EOPNOTSUPP, WANT(.stage = 1));
	expect_shape(test, &s2, 0, WANT(.stage = 2), stage2);

	expect_shape(test, &nests, NEST_PARENT, WANT(.stage = 0), stage2);
	expect_error(test, &nests, NEST_PARENT, -EOPNOTSUPP, WANT(.stage = 1));
	expect_shape(test, &nests, NEST_PARENT, WANT(.stage = 2), stage2);
	expect_error(test, &both, NEST_PARENT, -EOPNOTSUPP, WANT(.stage = 0));
	expect_error(test, &both, NEST_PARENT, -EOPNOTSUPP, WANT(.stage = 2));

	expect_shape(test, &nests, DIRTY, WANT(.stage = 0), stage1);
	expect_shape(test, &nests, DIRTY, WANT(.stage = 1), stage1);
	expect_error(test, &nests, DIRTY, -EOPNOTSUPP, WANT(.stage = 2));
	expect_error(test, &s2, DIRTY, -EOPNOTSUPP, WANT(.stage = 0));

	expect_error(test, &nests, NEST_PARENT | DIRTY, -EOPNOTSUPP,
		     WANT(.stage = 0));
	expect_error(test, &nests, NEST_PARENT | DIRTY, -EOPNOTSUPP,
		     WANT(.stage = 1));
	expect_error(test, &nests, NEST_PARENT | DIRTY, -EOPNOTSUPP,
		     WANT(.stage = 2));
}

/* The driver's choices make the rest of the request fit */
static void test_choices_fit(struct kunit *test)
{
	static const struct test_smmu large = {
		TYPICAL, SIZES_4K | SIZES_64K | SIZE_4T, 52, 52,
	};
	static const struct test_smmu small = { TYPICAL, SIZES_4K, 40, 40 };

	/* Only stage 2 with 64K pages has so many bits */
	if (PAGE_SHIFT == 16) {
		expect_shape(test, &large, 0, WANT(.input_bits = 52),
			     SHAPE(S2, 52, 52, SIZES_64K | SIZE_4T));
	} else {
		expect_error(test, &large, 0, -EOPNOTSUPP,
			     WANT(.input_bits = 52));
		expect_error(test, &large, 0, -EOPNOTSUPP,
			     WANT(.output_bits = 52));
	}
	expect_error(test, &large, DIRTY, -EOPNOTSUPP, WANT(.input_bits = 52));
	expect_error(test, &large, 0, -EOPNOTSUPP,
		     WANT(.input_bits = 52, .granule_shift = 12));

	/* Blocks of 4T need 52-bit output addresses */
	if (PAGE_SHIFT == 16) {
		expect_shape(test, &large, 0,
			     WANT(.output_bits = 52, .stage = 2),
			     SHAPE(S2, 52, 52, SIZES_64K | SIZE_4T));
		expect_shape(test, &large, 0,
			     WANT(.stage = 2, .output_bits = 48),
			     SHAPE(S2, 48, 48, SIZES_64K));
	}

	/* IPAs have no more bits than the output address */
	expect_shape(test, &small, 0, WANT(.stage = 2, .output_bits = 36),
		     SHAPE(S2, 36, 36, SIZES_4K));
	expect_shape(test, &small, 0,
		     WANT(.stage = 2, .input_bits = 36, .output_bits = 36),
		     SHAPE(S2, 36, 36, SIZES_4K));
	expect_error(test, &small, 0, -EOPNOTSUPP,
		     WANT(.stage = 2, .input_bits = 37, .output_bits = 36));

	/* A block is smaller than the input range */
	expect_shape(test, &small, 0, WANT(.stage = 2, .input_bits = 30),
		     SHAPE(S2, 30, 40, 0x201000));
	expect_shape(test, &small, 0, WANT(.stage = 2, .input_bits = 31),
		     SHAPE(S2, 31, 40, SIZES_4K));
	expect_shape(test, &small, 0, WANT(.stage = 1, .input_bits = 30),
		     SHAPE(S1, 30, 40, 0x201000));

	/* Stage 1 has more address bits than this stage 2 */
	expect_error(test, &small, 0, -EOPNOTSUPP,
		     WANT(.stage = 2, .input_bits = 41));
	if (VA_BITS >= 41)
		expect_shape(test, &small, 0, WANT(.input_bits = 41),
			     SHAPE(S1, 41, 40, SIZES_4K));
	expect_error(test, &small, 0, -EOPNOTSUPP,
		     WANT(.stage = 1, .input_bits = VA_BITS + 1));
}

/* The start level of io-pgtable differs from the architecture's */
static void test_start_level(struct kunit *test)
{
	static const struct test_smmu small = { TYPICAL, SIZES_ALL, 40, 40 };
	static const struct test_smmu large = { TYPICAL, SIZES_ALL, 44, 44 };

	if (PAGE_SHIFT < 14)
		return;
	expect_shape(test, &small, 0,
		     WANT(.stage = 2, .granule_shift = 14, .input_bits = 36),
		     SHAPE(S2, 36, 40, SIZES_16K));
	expect_error(test, &small, 0, -EOPNOTSUPP,
		     WANT(.stage = 2, .granule_shift = 14, .input_bits = 37));
	expect_shape(test, &small, 0, WANT(.stage = 2, .granule_shift = 14),
		     SHAPE(S2, 36, 40, SIZES_16K));
	expect_shape(test, &large, 0,
		     WANT(.stage = 2, .granule_shift = 14, .input_bits = 37),
		     SHAPE(S2, 37, 44, SIZES_16K));
	expect_error(test, &large, 0, -EOPNOTSUPP,
		     WANT(.stage = 2, .granule_shift = 14, .input_bits = 37,
			  .output_bits = 40));
	expect_shape(test, &large, 0,
		     WANT(.stage = 2, .granule_shift = 14, .output_bits = 36),
		     SHAPE(S2, 36, 36, SIZES_16K));
	expect_shape(test, &small, 0,
		     WANT(.stage = 2, .granule_shift = 12, .input_bits = 40),
		     SHAPE(S2, 40, 40, SIZES_4K));
}

static void test_sizes(struct kunit *test)
{
	static const struct test_smmu smmu = { TYPICAL, SIZES_4K, 48, 48 };
	/* The default output of stage 1 is larger: 40 bits */
	static const struct test_smmu aarch32 = { TYPICAL, SIZES_4K, 40, 36 };
	u32 stage;

	for (stage = 1; stage <= 2; stage++) {
		const enum arm_smmu_domain_stage s =
			stage == 1 ? ARM_SMMU_DOMAIN_S1 : ARM_SMMU_DOMAIN_S2;
		const struct arm_smmu_pgtable least = { s, 25, 32, 0x201000 };

		expect_shape(test, &smmu, 0,
			     WANT(.stage = stage, .input_bits = 25,
				  .output_bits = 32), &least);
		expect_error(test, &smmu, 0, -EOPNOTSUPP,
			     WANT(.stage = stage, .input_bits = 24));
		expect_error(test, &smmu, 0, -EOPNOTSUPP,
			     WANT(.stage = stage, .input_bits = 49));
		expect_error(test, &smmu, 0, -EOPNOTSUPP,
			     WANT(.stage = stage, .output_bits = 52));
		expect_error(test, &smmu, 0, -EOPNOTSUPP,
			     WANT(.stage = stage, .output_bits = 56));
		expect_error(test, &aarch32, 0, -EOPNOTSUPP,
			     WANT(.stage = stage, .output_bits = 40));
	}
	/* Its IPAs have 40 bits; a guest gets only the bits of the output */
	expect_shape(test, &aarch32, NEST_PARENT, NULL,
		     SHAPE(S2, 36, 36, SIZES_4K));
	expect_error(test, &aarch32, 0, -EOPNOTSUPP,
		     WANT(.stage = 2, .input_bits = 40));
}

/* Malformed requests: the features of the SMMU do not matter */
static void test_malformed(struct kunit *test)
{
	static const struct test_smmu smmus[] = {
		{},
		{ TYPICAL | VAX, SIZES_ALL | SIZE_4T, 52, 52 },
	};
	static const u32 stages[] = { 3, 4, 5, 0x80000000, 0x80000001, ~0U };
	static const u32 inputs[] = {
		1, 8, 12, 15, 57, 58, 63, 64, 65, 80, 96, 112, 0x130,
		0x80000000, 0x80000030, ~0U,
	};
	static const u32 outputs[] = {
		1, 16, 24, 31, 33, 34, 35, 37, 38, 39, 41, 43, 45, 46, 47, 49,
		50, 51, 53, 54, 55, 57, 60, 63, 64, 96, 0x130, 0x80000000,
		0x80000030, ~0U,
	};
	static const u32 shifts[] = {
		1, 10, 11, 13, 15, 17, 18, 21, 63, 64, 76, 0x10c, 0x1000,
		0x80000000, 0x8000000c, ~0U,
	};
	unsigned int i, j, rule;

	for (i = 0; i != ARRAY_SIZE(smmus); i++) {
		const struct test_smmu *smmu = &smmus[i];

		for (rule = 0; rule != ARRAY_SIZE(flag_rules); rule++) {
			const u32 flags = flag_rules[rule].flags;

			for (j = 0; j != ARRAY_SIZE(stages); j++)
				expect_error(test, smmu, flags, -EINVAL,
					     WANT(.stage = stages[j]));
			for (j = 0; j != ARRAY_SIZE(inputs); j++)
				expect_error(test, smmu, flags, -EINVAL,
					     WANT(.input_bits = inputs[j]));
			for (j = 0; j != ARRAY_SIZE(outputs); j++)
				expect_error(test, smmu, flags, -EINVAL,
					     WANT(.output_bits = outputs[j]));
			for (j = 0; j != ARRAY_SIZE(shifts); j++)
				expect_error(test, smmu, flags, -EINVAL,
					     WANT(.granule_shift = shifts[j]));
		}
	}

	/* The rest of the request is well-formed, and not supported */
	for (i = 0; i != ARRAY_SIZE(smmus); i++) {
		expect_error(test, &smmus[i], NEST_PARENT, -EOPNOTSUPP,
			     WANT(.stage = 1, .input_bits = 56,
				  .output_bits = 56, .granule_shift = 16));
		expect_error(test, &smmus[i], NEST_PARENT, -EINVAL,
			     WANT(.stage = 3, .input_bits = 56,
				  .output_bits = 56, .granule_shift = 16));
		expect_error(test, &smmus[i], NEST_PARENT, -EINVAL,
			     WANT(.stage = 1, .input_bits = 57,
				  .output_bits = 56, .granule_shift = 16));
		expect_error(test, &smmus[i], NEST_PARENT, -EINVAL,
			     WANT(.stage = 1, .input_bits = 56,
				  .output_bits = 57, .granule_shift = 16));
		expect_error(test, &smmus[i], NEST_PARENT, -EINVAL,
			     WANT(.stage = 1, .input_bits = 56,
				  .output_bits = 56, .granule_shift = 17));
	}
}

/* Unknown fields are refused before the rest is interpreted */
static void test_unknown_fields(struct kunit *test)
{
	static const struct test_smmu smmu = { TYPICAL, SIZES_4K, 48, 48 };
	unsigned int bit;

	for (bit = 0; bit != 32; bit++) {
		expect_error(test, &smmu, 0, -EOPNOTSUPP,
			     WANT(.flags = BIT(bit)));
		expect_error(test, &smmu, 0, -EOPNOTSUPP,
			     WANT(.reserved = BIT(bit)));
		expect_error(test, &smmu, 0, -EOPNOTSUPP,
			     WANT(.flags = BIT(bit), .stage = 3));
		expect_error(test, &smmu, 0, -EOPNOTSUPP,
			     WANT(.reserved = BIT(bit), .granule_shift = 13));
	}
	expect_error(test, &smmu, 0, -EOPNOTSUPP, WANT(.flags = ~0U));
	expect_error(test, &smmu, 0, -EOPNOTSUPP, WANT(.reserved = ~0U));
	expect_error(test, &smmu, 0, -EOPNOTSUPP,
		     WANT(.flags = 1, .reserved = ~0U));
}

/* The function writes all of @chosen, and nothing else */
static void test_writes(struct kunit *test)
{
	static const struct test_smmu smmu = {
		TYPICAL, SIZES_ALL | SIZE_4T, 52, 52,
	};
	struct {
		u64 before[4];
		struct arm_smmu_pgtable chosen;
		u64 after[4];
	} guarded;
	struct iommu_hwpt_arm_smmuv3_pgtable want, old_want;
	const struct arm_smmu_device *device = set_smmu(test, &smmu);
	struct arm_smmu_device *old_device;
	unsigned int i, rule;
	int fill;

	old_device = kunit_kzalloc(test, sizeof(*old_device), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, old_device);
	memcpy(old_device, device, sizeof(*old_device));

	for (i = 0; i != 4 * ARRAY_SIZE(flag_rules) * 2; i++) {
		struct arm_smmu_pgtable shape[2];
		int ret[2];

		rule = i / 4 % ARRAY_SIZE(flag_rules);
		want = (struct iommu_hwpt_arm_smmuv3_pgtable){
			.stage = i % 4,
			.input_bits = i / 16 ? 32 : 0,
		};
		old_want = want;
		/* The previous content does not matter */
		for (fill = 0; fill != 2; fill++) {
			const u8 garbage = fill ? 0xa5 : 0;

			memset(&guarded, garbage, sizeof(guarded));
			ret[fill] = arm_smmu_choose_pgtable(&guarded.chosen,
							    device,
							    flag_rules[rule].flags,
							    &want);
			shape[fill] = guarded.chosen;
			KUNIT_EXPECT_NULL(test,
					  memchr_inv(guarded.before, garbage,
						     sizeof(guarded.before)));
			KUNIT_EXPECT_NULL(test,
					  memchr_inv(guarded.after, garbage,
						     sizeof(guarded.after)));
		}
		KUNIT_EXPECT_EQ(test, ret[0], ret[1]);
		if (!ret[0])
			KUNIT_EXPECT_TRUE(test, is_same(&shape[0], &shape[1]));
		KUNIT_EXPECT_MEMEQ(test, &want, &old_want, sizeof(want));
		KUNIT_EXPECT_MEMEQ(test, device, old_device, sizeof(*device));
	}
}

/* The cookie points to the gfp flags of the last table */
static void *test_alloc_table(void *cookie, size_t size, gfp_t gfp)
{
	*(gfp_t *)cookie = gfp;
	return (void *)__get_free_pages(gfp | __GFP_ZERO, get_order(size));
}

static void test_free_table(void *cookie, void *pages, size_t size)
{
	free_pages((unsigned long)pages, get_order(size));
}

/* The configuration charges the top table, the map call the others */
static void test_account(struct kunit *test)
{
	static const enum io_pgtable_fmt fmts[] = {
		ARM_64_LPAE_S1, ARM_64_LPAE_S2
	};
	unsigned int i, account, map_account;
	struct io_pgtable_ops *ops;
	struct io_pgtable_cfg cfg;
	size_t mapped;
	gfp_t gfp;

	for (i = 0; i != ARRAY_SIZE(fmts) * 4; i++) {
		account = i & 1;
		map_account = i >> 1 & 1;
		cfg = (struct io_pgtable_cfg) {
			.pgsize_bitmap	= PAGE_SIZE,
			.ias		= 40,
			.oas		= 40,
			.coherent_walk	= true,
			.account	= account,
			.alloc		= test_alloc_table,
			.free		= test_free_table,
		};
		gfp = 0;
		ops = alloc_io_pgtable_ops(fmts[i / 4], &cfg, &gfp);
		KUNIT_ASSERT_NOT_NULL(test, ops);
		KUNIT_EXPECT_EQ(test, account, !!(gfp & __GFP_ACCOUNT));

		gfp = 0;
		KUNIT_EXPECT_EQ(test, 0,
				ops->map_pages(ops, 0, 0, PAGE_SIZE, 1,
					       IOMMU_READ | IOMMU_WRITE,
					       map_account ? GFP_KERNEL_ACCOUNT :
							     GFP_KERNEL,
					       &mapped));
		KUNIT_EXPECT_NE(test, 0, (__force u32)gfp);
		KUNIT_EXPECT_EQ(test, map_account, !!(gfp & __GFP_ACCOUNT));
		free_io_pgtable_ops(ops);
	}
}

static int arm_smmu_v3_pgtable_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct arm_smmu_device),
				   GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static struct kunit_case arm_smmu_v3_pgtable_test_cases[] = {
	KUNIT_CASE(test_all_fields),
	KUNIT_CASE(test_all_smmus),
	KUNIT_CASE(test_all_flags),
	KUNIT_CASE(test_no_data),
	KUNIT_CASE(test_defaults),
	KUNIT_CASE(test_default_granule),
	KUNIT_CASE(test_granules),
	KUNIT_CASE(test_stages),
	KUNIT_CASE(test_choices_fit),
	KUNIT_CASE(test_start_level),
	KUNIT_CASE(test_sizes),
	KUNIT_CASE(test_malformed),
	KUNIT_CASE(test_unknown_fields),
	KUNIT_CASE(test_writes),
	KUNIT_CASE(test_account),
	{},
};

static struct kunit_suite arm_smmu_v3_pgtable_test_suite = {
	.name = "arm-smmu-v3-pgtable",
	.init = arm_smmu_v3_pgtable_test_init,
	.test_cases = arm_smmu_v3_pgtable_test_cases,
};

kunit_test_suites(&arm_smmu_v3_pgtable_test_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests for the shape of page tables of the ARM SMMUv3");
MODULE_LICENSE("GPL");
