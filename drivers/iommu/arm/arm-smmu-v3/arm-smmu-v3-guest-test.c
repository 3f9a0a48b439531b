// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the conversion of a guest's STE and commands, and of
 * transitions between the resulting STEs.
 *
 * Masks and expected words are literal numbers, in order to detect wrong field
 * macros in the driver. The oracles look at words, not at the steps of the
 * driver. The loops run up to a few million times. They compare in plain code
 * and report only the first failure to KUnit.
 */
#include <kunit/test.h>
#include <linux/io-pgtable.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "arm-smmu-v3-user.h"

#define ABORT		0
#define BYPASS		4
#define S1		5
#define S2		6
#define NESTED		7

/* Fields of an STE, words 0 to 3 */
#define V		0x1ULL
#define CONFIG(x)	((u64)(x) << 1)
#define MEV		0x0000000000080000ULL
#define S2FWB		0x0000000002000000ULL
#define S1STALLD	0x0000000008000000ULL
#define EATS		0x0000000030000000ULL
#define EATS_TRANS	0x0000000010000000ULL
#define SHCFG_INCOMING	0x0000100000000000ULL
#define S2VMID		0x000000000000ffffULL
#define S2S		0x0200000000000000ULL

/* Fields that a guest may set in a vSTE */
static const u64 vste_mask[2] = { 0xf80fffffffffffffULL, 0x00000000380000ffULL };

/* Fields of these that the physical STE takes over unchanged */
#define VSTE_0_KEPT	0xf80ffffffffffff0ULL
#define VSTE_1_KEPT	0x00000000080000ffULL

struct test_vste {
	__le64 data[2];
};

static struct test_vste vste(u64 word0, u64 word1)
{
	return (struct test_vste){ { cpu_to_le64(word0), cpu_to_le64(word1) } };
}

static unsigned int vste_config(u64 word0)
{
	return word0 >> 1 & 7;
}

static unsigned int vste_eats(u64 word1)
{
	return word1 >> 28 & 3;
}

/*
 * vSTE: accepted values
 */

/* Check one vSTE. The test ends with the first wrong result. */
static void expect_vste(struct kunit *test, u64 word0, u64 word1)
{
	const struct test_vste in = vste(word0, word1);
	struct test_vste out = vste(~0ULL, ~0ULL);
	struct test_vste want = vste(0, 0);
	int want_ret = 0;
	int ret;

	if (word0 & V) {
		unsigned int config = vste_config(word0);

		if ((word0 & ~vste_mask[0]) || (word1 & ~vste_mask[1]) ||
		    (config != ABORT && config != BYPASS && config != S1) ||
		    vste_eats(word1) > 1)
			want_ret = -EIO;
		want = in;
	}

	ret = arm_smmu_check_vste(in.data, out.data);
	if (ret != want_ret || (!ret && memcmp(&out, &want, sizeof(want))))
		KUNIT_FAIL_AND_ABORT(test,
				     "vSTE %016llx %016llx: %d, kept %016llx %016llx",
				     word0, word1, ret, le64_to_cpu(out.data[0]),
				     le64_to_cpu(out.data[1]));
}

static const unsigned int valid_configs[] = { ABORT, BYPASS, S1 };

static void test_vste_each_bit(struct kunit *test)
{
	unsigned int i, bit;

	for (i = 0; i != ARRAY_SIZE(valid_configs); i++) {
		const u64 base = V | CONFIG(valid_configs[i]);
		const u64 full0 = base | (vste_mask[0] & ~0xfULL);
		const u64 full1 = vste_mask[1] & ~(u64)(EATS ^ EATS_TRANS);

		expect_vste(test, base, 0);
		expect_vste(test, full0, full1);
		for (bit = 0; bit != 64; bit++) {
			/* Set one bit, or clear one */
			expect_vste(test, base ^ BIT_ULL(bit), 0);
			expect_vste(test, base, BIT_ULL(bit));
			expect_vste(test, full0 ^ BIT_ULL(bit), full1);
			expect_vste(test, full0, full1 ^ BIT_ULL(bit));
		}
	}
}

/* Without the oracle: each bit that is not part of an enumerated field */
static void test_vste_mask(struct kunit *test)
{
	u64 accepted[2] = {};
	struct test_vste in, out;
	unsigned int i, bit;

	for (i = 0; i != ARRAY_SIZE(valid_configs); i++) {
		const u64 base = V | CONFIG(valid_configs[i]);

		memset(accepted, 0, sizeof(accepted));
		for (bit = 4; bit != 64; bit++) {
			in = vste(base | BIT_ULL(bit), 0);
			if (!arm_smmu_check_vste(in.data, out.data))
				accepted[0] |= BIT_ULL(bit);
		}
		for (bit = 0; bit != 64; bit++) {
			in = vste(base, BIT_ULL(bit));
			if (!arm_smmu_check_vste(in.data, out.data))
				accepted[1] |= BIT_ULL(bit);
		}
		KUNIT_EXPECT_EQ(test, 0xf80ffffffffffff0ULL, accepted[0]);
		KUNIT_EXPECT_EQ(test, 0x00000000180000ffULL, accepted[1]);
	}
}

static void test_vste_config_eats(struct kunit *test)
{
	static const int want[8][4] = {
		[ABORT] = { 0, 0, -EIO, -EIO },
		[1] = { -EIO, -EIO, -EIO, -EIO },
		[2] = { -EIO, -EIO, -EIO, -EIO },
		[3] = { -EIO, -EIO, -EIO, -EIO },
		[BYPASS] = { 0, 0, -EIO, -EIO },
		[S1] = { 0, 0, -EIO, -EIO },
		[S2] = { -EIO, -EIO, -EIO, -EIO },
		[NESTED] = { -EIO, -EIO, -EIO, -EIO },
	};
	unsigned int config, eats;
	struct test_vste in, out;

	for (config = 0; config != 8; config++) {
		for (eats = 0; eats != 4; eats++) {
			in = vste(V | CONFIG(config), (u64)eats << 28);
			KUNIT_EXPECT_EQ_MSG(test, want[config][eats],
					    arm_smmu_check_vste(in.data,
								out.data),
					    "Config %u, EATS %u", config, eats);
			/* The rest of the vSTE does not matter */
			expect_vste(test, V | CONFIG(config) | VSTE_0_KEPT,
				    (u64)eats << 28 | VSTE_1_KEPT);
		}
	}
}

/* With V=0 all other fields are ignored and dropped */
static void test_vste_invalid(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int i, bit;

	expect_vste(test, 0, 0);
	expect_vste(test, ~V, ~0ULL);
	for (i = 0; i != 8; i++) {
		for (bit = 0; bit != 64; bit++) {
			expect_vste(test, (CONFIG(i) ^ BIT_ULL(bit)) & ~V, 0);
			expect_vste(test, CONFIG(i), BIT_ULL(bit));
			expect_vste(test, ~BIT_ULL(bit) & ~V, ~0ULL);
			expect_vste(test, ~V, ~BIT_ULL(bit));
		}
	}

	prandom_seed_state(&rnd, 1);
	for (i = 0; i != 100000; i++)
		expect_vste(test,
			    ((u64)prandom_u32_state(&rnd) << 32 |
			     prandom_u32_state(&rnd)) & ~V,
			    (u64)prandom_u32_state(&rnd) << 32 |
			    prandom_u32_state(&rnd));
}

/* All values of a guest's fields, except for the pointer */
static void test_vste_sweep(struct kunit *test)
{
	u64 low, cdmax, byte, upper;

	for (low = 0; low != 64; low++)
		for (cdmax = 0; cdmax != 32; cdmax++)
			for (byte = 0; byte != 256; byte++)
				for (upper = 0; upper != 8; upper++)
					expect_vste(test, low | cdmax << 59,
						    byte | upper << 27);
}

static void test_vste_random(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, 2);
	for (i = 0; i != 300000; i++) {
		u64 word0 = (u64)prandom_u32_state(&rnd) << 32 |
			    prandom_u32_state(&rnd);
		u64 word1 = (u64)prandom_u32_state(&rnd) << 32 |
			    prandom_u32_state(&rnd);

		/* Most random words are refused: test nearly valid ones, too */
		expect_vste(test, word0, word1);
		word0 = (word0 & vste_mask[0]) | V;
		word1 &= vste_mask[1];
		expect_vste(test, word0, word1);
		expect_vste(test, word0 | BIT_ULL(i % 64), word1);
		expect_vste(test, word0, word1 | BIT_ULL(i % 64));
	}
}

static void test_vste_wants_ats(struct kunit *test)
{
	static const struct {
		u64 word0, word1;
		unsigned int config;
		bool wants_ats;
	} cases[] = {
		/* A stream that aborts must have nothing in its ATC */
		{ V | CONFIG(ABORT), 0, ABORT, false },
		{ V | CONFIG(ABORT), EATS_TRANS, ABORT, false },
		{ 0, 0, ABORT, false },
		{ 0, EATS_TRANS, ABORT, false },
		{ CONFIG(BYPASS), 0, ABORT, false },
		{ CONFIG(S1), EATS_TRANS, ABORT, false },
		/* Without stage 1 the guest does not control ATS */
		{ V | CONFIG(BYPASS), 0, BYPASS, true },
		{ V | CONFIG(BYPASS), EATS_TRANS, BYPASS, true },
		{ V | CONFIG(S1), 0, S1, false },
		{ V | CONFIG(S1), EATS_TRANS, S1, true },
		{ V | CONFIG(S1) | VSTE_0_KEPT, VSTE_1_KEPT, S1, false },
		{ V | CONFIG(S1) | VSTE_0_KEPT, VSTE_1_KEPT | EATS_TRANS, S1,
		  true },
	};
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(cases); i++) {
		const struct test_vste in = vste(cases[i].word0,
						 cases[i].word1);
		struct test_vste out;

		KUNIT_ASSERT_EQ(test, 0,
				arm_smmu_check_vste(in.data, out.data));
		KUNIT_EXPECT_EQ_MSG(test, cases[i].config,
				    arm_smmu_vste_config(out.data), "case %u",
				    i);
		KUNIT_EXPECT_EQ_MSG(test, cases[i].wants_ats,
				    arm_smmu_vste_wants_ats(out.data),
				    "case %u", i);
	}
}

/*
 * Composed STEs
 */

/* Input of a nest parent, its SMMU and the master to the stage 2 STE */
struct test_s2 {
	unsigned int table;
	u16 vmid;
	bool ats;
	bool fwb;
	bool shcfg;
	bool stall;
};

/* Two page tables; S2TTB is bits [51:4] of io-pgtable's vttbr */
static const u64 test_vttbr[2] = { 0xfff8123456789abfULL, 0x00000fedcba98000ULL };
static const u64 test_s2ttb[2] = { 0x0008123456789ab0ULL, 0x00000fedcba98000ULL };

static struct arm_smmu_ste make_s2(const struct test_s2 *s2)
{
	/* Too large for the stack; only the features are used */
	static struct arm_smmu_device smmu;
	struct arm_smmu_master master = {
		.smmu = &smmu,
		.stall_enabled = s2->stall,
	};
	struct io_pgtable pgtable = {};
	struct arm_smmu_domain domain = {
		.pgtbl_ops = &pgtable.ops,
		.s2_cfg.vmid = s2->vmid,
	};
	struct arm_smmu_ste ste;

	smmu.features = s2->shcfg ? ARM_SMMU_FEAT_ATTR_TYPES_OVR : 0;
	if (s2->fwb)
		pgtable.cfg.quirks = IO_PGTABLE_QUIRK_ARM_S2FWB;
	pgtable.cfg.arm_lpae_s2_cfg.vttbr = test_vttbr[s2->table];
	pgtable.cfg.arm_lpae_s2_cfg.vtcr.tsz = 24;
	pgtable.cfg.arm_lpae_s2_cfg.vtcr.sl = 1;
	pgtable.cfg.arm_lpae_s2_cfg.vtcr.irgn = 1;
	pgtable.cfg.arm_lpae_s2_cfg.vtcr.orgn = 1;
	pgtable.cfg.arm_lpae_s2_cfg.vtcr.sh = 3;
	pgtable.cfg.arm_lpae_s2_cfg.vtcr.tg = 1;
	pgtable.cfg.arm_lpae_s2_cfg.vtcr.ps = 5;
	memset(&ste, GENMASK(7, 0), sizeof(ste));
	arm_smmu_make_s2_domain_ste(&ste, &master, &domain, s2->ats);
	return ste;
}

/* Words 1 to 3 of any STE on this stage 2 */
static struct arm_smmu_ste want_s2_part(const struct test_s2 *s2, u16 vmid)
{
	/* VTCR as in make_s2(), S2AA64, S2PTW, S2R */
	u64 word2 = 0x044d755800000000ULL | vmid;
	u64 word1 = 0;

	/* S2ENDI: walks use the byte order of the kernel */
	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		word2 |= 0x0010000000000000ULL;
	if (s2->stall)
		word2 |= S2S;
	if (s2->ats)
		word1 |= EATS_TRANS;
	if (s2->fwb)
		word1 |= S2FWB;
	if (s2->shcfg)
		word1 |= SHCFG_INCOMING;
	return (struct arm_smmu_ste){ {
		[1] = cpu_to_le64(word1),
		[2] = cpu_to_le64(word2),
		[3] = cpu_to_le64(test_s2ttb[s2->table]),
	} };
}

static struct arm_smmu_ste want_s2(const struct test_s2 *s2, u16 vmid)
{
	struct arm_smmu_ste want = want_s2_part(s2, vmid);

	want.data[0] = cpu_to_le64(V | CONFIG(S2));
	return want;
}

static struct arm_smmu_ste want_nested(const struct test_s2 *s2, u64 word0,
				       u64 word1, u16 vmid, bool force_stalld)
{
	struct arm_smmu_ste want = want_s2_part(s2, vmid);

	want.data[0] = cpu_to_le64((word0 & VSTE_0_KEPT) | V | CONFIG(NESTED));
	/* CDs are fetched write-back and inner shareable */
	if (!s2->fwb)
		word1 = (word1 & ~0xfcULL) | 0xd4;
	want.data[1] |= cpu_to_le64((word1 & VSTE_1_KEPT) | MEV);
	if (force_stalld)
		want.data[1] |= cpu_to_le64(S1STALLD);
	return want;
}

static struct arm_smmu_ste want_abort(void)
{
	return (struct arm_smmu_ste){ { cpu_to_le64(V | CONFIG(ABORT)) } };
}

/* Check, keep and compose, as the driver does */
static struct arm_smmu_ste make_user(struct kunit *test,
				     const struct arm_smmu_ste *s2, u64 word0,
				     u64 word1, u16 vmid, bool force_stalld)
{
	const struct test_vste in = vste(word0, word1);
	struct arm_smmu_ste ste;
	struct test_vste checked;

	if (arm_smmu_check_vste(in.data, checked.data))
		KUNIT_FAIL_AND_ABORT(test, "vSTE %016llx %016llx is refused",
				     word0, word1);
	memset(&ste, GENMASK(7, 0), sizeof(ste));
	arm_smmu_make_user_ste(&ste, s2, checked.data, vmid, force_stalld);
	return ste;
}

static void expect_user(struct kunit *test, const struct arm_smmu_ste *s2,
			u64 word0, u64 word1, u16 vmid, bool force_stalld,
			const struct arm_smmu_ste *want)
{
	const struct arm_smmu_ste ste = make_user(test, s2, word0, word1, vmid,
						  force_stalld);
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(ste.data); i++)
		if (ste.data[i] != want->data[i])
			KUNIT_FAIL_AND_ABORT(test,
					     "vSTE %016llx %016llx, vmid %#x, force_stalld %d: word %u is %016llx, not %016llx",
					     word0, word1, vmid, force_stalld,
					     i, le64_to_cpu(ste.data[i]),
					     le64_to_cpu(want->data[i]));
}

#define NUM_S2_VARIANTS	32

static struct test_s2 s2_variant(unsigned int i)
{
	return (struct test_s2){
		.table = i & 1,
		.ats = i & 2,
		.fwb = i & 4,
		.shcfg = i & 8,
		.stall = i & 16,
		/* VMID of the stage 2 when attached directly: must not show */
		.vmid = 0x5a3c,
	};
}

static const u16 test_vmids[] = { 0, 1, 0x00ff, 0x8000, 0xffff };

/* The basis of all other tests */
static void test_s2_ste(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i != NUM_S2_VARIANTS; i++) {
		const struct test_s2 s2 = s2_variant(i);
		const struct arm_smmu_ste ste = make_s2(&s2);
		const struct arm_smmu_ste want = want_s2(&s2, s2.vmid);

		KUNIT_EXPECT_MEMEQ(test, &want, &ste, sizeof(want));
	}
}

/*
 * All values of a guest's stage 1 fields. The host's part is drawn from all of
 * its variants, independently of the guest's fields.
 */
static void test_compose_nested_guest(struct kunit *test)
{
	static const u64 pointers[] = {
		0, BIT_ULL(6), BIT_ULL(51), 0x000fffffffffffc0ULL,
		0x000a5a5a5a5a5a40ULL,
	};
	struct arm_smmu_ste *s2_stes;
	u32 n;

	s2_stes = kunit_kcalloc(test, NUM_S2_VARIANTS, sizeof(*s2_stes),
				GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s2_stes);
	for (n = 0; n != NUM_S2_VARIANTS; n++) {
		const struct test_s2 s2 = s2_variant(n);

		s2_stes[n] = make_s2(&s2);
	}

	for (n = 0; n != ARRAY_SIZE(pointers) << 17; n++) {
		/* S1Fmt, S1CDMax */
		const u64 word0 = V | CONFIG(S1) | (n >> 10 & 3ULL) << 4 |
				  pointers[n >> 17] | (n >> 12 & 31ULL) << 59;
		/* S1DSS to S1CSH, S1STALLD; the host replaces EATS */
		const u64 word1 = (n >> 2 & 0xff) | (n & 3ULL) << 27;
		const u32 host = n * 2654435769U;
		const struct test_s2 s2 = s2_variant(host >> 27);
		const bool force_stalld = host & BIT(26);
		const u16 vmid = host >> 8;
		const struct arm_smmu_ste want =
			want_nested(&s2, word0, word1, vmid, force_stalld);

		expect_user(test, &s2_stes[host >> 27], word0, word1, vmid,
			    force_stalld, &want);
	}
}

#define NUM_HOST_VARIANTS (NUM_S2_VARIANTS * 2 * ARRAY_SIZE(test_vmids))

/* Each stage 2 with all values of a guest's fields in word 1 */
static void test_compose_nested_host(struct kunit *test)
{
	const u64 word0 = V | CONFIG(S1) | 0x123456789a40ULL;
	unsigned int n;
	u64 m;

	for (n = 0; n != NUM_HOST_VARIANTS; n++) {
		const struct test_s2 s2 = s2_variant(n % NUM_S2_VARIANTS);
		const bool force_stalld = n / NUM_S2_VARIANTS & 1;
		const u16 vmid = test_vmids[n / NUM_S2_VARIANTS / 2];
		const struct arm_smmu_ste s2_ste = make_s2(&s2);

		for (m = 0; m != 1024; m++) {
			const u64 word1 = (m & 0xff) | (m >> 8) << 27;
			const struct arm_smmu_ste want =
				want_nested(&s2, word0, word1, vmid,
					    force_stalld);

			expect_user(test, &s2_ste, word0, word1, vmid,
				    force_stalld, &want);
		}
	}
}

/* Only Config depends on the guest */
static void test_compose_bypass_abort(struct kunit *test)
{
	const struct arm_smmu_ste aborts = want_abort();
	unsigned int n, bit;

	for (n = 0; n != NUM_HOST_VARIANTS; n++) {
		const struct test_s2 s2 = s2_variant(n % NUM_S2_VARIANTS);
		const bool force = n / NUM_S2_VARIANTS & 1;
		const u16 vmid = test_vmids[n / NUM_S2_VARIANTS / 2];
		const struct arm_smmu_ste s2_ste = make_s2(&s2);
		const struct arm_smmu_ste bypass = want_s2(&s2, vmid);

		for (bit = 0; bit != 64; bit++) {
			/* One bit that a guest may set, or none */
			const u64 word0 = BIT_ULL(bit) & VSTE_0_KEPT;
			const u64 word1 = BIT_ULL(bit) &
					  (VSTE_1_KEPT | EATS_TRANS);

			expect_user(test, &s2_ste, V | CONFIG(BYPASS) | word0,
				    word1, vmid, force, &bypass);
			expect_user(test, &s2_ste, V | CONFIG(ABORT) | word0,
				    word1, vmid, force, &aborts);
			/* V=0 with any other bits */
			expect_user(test, &s2_ste, CONFIG(S1) | word0, ~word1,
				    vmid, force, &aborts);
		}
		expect_user(test, &s2_ste, V | CONFIG(BYPASS) | VSTE_0_KEPT,
			    VSTE_1_KEPT | EATS_TRANS, vmid, force, &bypass);
		expect_user(test, &s2_ste, V | CONFIG(ABORT) | VSTE_0_KEPT,
			    VSTE_1_KEPT | EATS_TRANS, vmid, force, &aborts);
		expect_user(test, &s2_ste, ~V, ~0ULL, vmid, force, &aborts);
	}
}

/*
 * Transitions. The hardware may fetch an STE at any time, and sees the stores
 * between two syncs in any order.
 */

/* Fields that the SMMU uses with each Config */
static const u64 used_abort[4] = { 0xf };
static const u64 used_s2[4] = {
	0xf, 0x0000300032080000ULL, 0x065fffff0000ffffULL,
	0x000ffffffffffff0ULL,
};

static const u64 used_nested[4] = {
	0xf80fffffffffffffULL, 0x00003000fa0800ffULL, 0x065fffff0000ffffULL,
	0x000ffffffffffff0ULL,
};

static void expect_used(struct kunit *test, const struct arm_smmu_ste *ste,
			const u64 *want)
{
	__le64 used[STRTAB_STE_DWORDS] = {};
	unsigned int i;

	arm_smmu_get_ste_used(ste->data, used);
	for (i = 0; i != ARRAY_SIZE(used); i++) {
		KUNIT_EXPECT_EQ_MSG(test, i < 4 ? want[i] : 0,
				    le64_to_cpu(used[i]), "word %u", i);
		/* The STE writer warns about bits that are set but not used */
		KUNIT_EXPECT_EQ_MSG(test, 0,
				    le64_to_cpu(ste->data[i] & ~used[i]),
				    "word %u", i);
	}
}

static void test_used_fields(struct kunit *test)
{
	const struct test_s2 s2 = s2_variant(NUM_S2_VARIANTS - 1);
	const struct arm_smmu_ste s2_ste = make_s2(&s2);
	struct arm_smmu_ste ste;

	ste = make_user(test, &s2_ste, V | CONFIG(S1) | VSTE_0_KEPT,
			VSTE_1_KEPT, 0xffff, true);
	expect_used(test, &ste, used_nested);
	ste = make_user(test, &s2_ste, V | CONFIG(BYPASS), 0, 0xffff, true);
	expect_used(test, &ste, used_s2);
	ste = make_user(test, &s2_ste, V | CONFIG(ABORT), 0, 0xffff, true);
	expect_used(test, &ste, used_abort);
}

struct test_writer {
	struct arm_smmu_entry_writer writer;
	struct kunit *test;
	/* Both ends: fields in use by the SMMU */
	struct arm_smmu_ste old, new;
	/* The stream table entry now and at the last sync */
	struct arm_smmu_ste ste, synced;
	unsigned int num_syncs;
	bool gap;
	bool invalid;
};

static struct arm_smmu_ste seen_by_hw(const struct arm_smmu_ste *ste)
{
	__le64 used[STRTAB_STE_DWORDS] = {};
	struct arm_smmu_ste seen;
	unsigned int i;

	arm_smmu_get_ste_used(ste->data, used);
	for (i = 0; i != ARRAY_SIZE(used); i++)
		seen.data[i] = ste->data[i] & used[i];
	return seen;
}

static u64 word(const struct arm_smmu_ste *ste, unsigned int i)
{
	return le64_to_cpu(ste->data[i]);
}

static bool is_nested(const struct arm_smmu_ste *ste)
{
	return vste_config(word(ste, 0)) == NESTED;
}

static bool has_s2(const struct arm_smmu_ste *ste)
{
	return vste_config(word(ste, 0)) == S2 || is_nested(ste);
}

static bool aborts(const struct arm_smmu_ste *ste)
{
	return vste_config(word(ste, 0)) == ABORT;
}

/*
 * EATS and MEV do not affect translation, but must match one of the ends.
 * Everything else must match the old STE or the new one as a whole. Without
 * stage 1 the VMID may match either end.
 */
static bool is_like(const struct arm_smmu_ste *seen,
		    const struct arm_smmu_ste *end,
		    const struct arm_smmu_ste *other)
{
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(seen->data); i++) {
		u64 differs = word(seen, i) ^ word(end, i);

		if (i == 1)
			differs &= ~(EATS | MEV);
		if (i == 2 && vste_config(word(seen, 0)) == S2 &&
		    (word(seen, 2) & S2VMID) == (word(other, 2) & S2VMID))
			differs &= ~S2VMID;
		if (differs)
			return false;
	}
	return true;
}

static bool is_of_either(const struct arm_smmu_ste *seen,
			 const struct test_writer *w, u64 field)
{
	u64 value = word(seen, 1) & field;

	return value == (word(&w->old, 1) & field) ||
	       value == (word(&w->new, 1) & field);
}

static void check_seen(struct test_writer *w, const struct arm_smmu_ste *ste)
{
	const struct arm_smmu_ste seen = seen_by_hw(ste);

	if (!(word(&seen, 0) & V)) {
		w->gap = true;
		w->invalid = true;
		return;
	}
	if (aborts(&seen) && !aborts(&w->old) && !aborts(&w->new)) {
		w->gap = true;
		return;
	}
	if (!is_of_either(&seen, w, EATS) || !is_of_either(&seen, w, MEV) ||
	    (!is_like(&seen, &w->old, &w->new) &&
	     !is_like(&seen, &w->new, &w->old)))
		KUNIT_FAIL_AND_ABORT(w->test,
				     "after sync %u: neither old nor new: %016llx %016llx %016llx %016llx, from %016llx %016llx %016llx %016llx to %016llx %016llx %016llx %016llx",
				     w->num_syncs, word(ste, 0), word(ste, 1),
				     word(ste, 2), word(ste, 3),
				     word(&w->old, 0), word(&w->old, 1),
				     word(&w->old, 2), word(&w->old, 3),
				     word(&w->new, 0), word(&w->new, 1),
				     word(&w->new, 2), word(&w->new, 3));
}

static void record_sync(struct arm_smmu_entry_writer *writer)
{
	struct test_writer *w = container_of(writer, struct test_writer,
					     writer);
	unsigned int i, subset, changed = 0;

	for (i = 0; i != STRTAB_STE_DWORDS; i++)
		if (w->ste.data[i] != w->synced.data[i])
			changed |= BIT(i);

	/* The SMMU may have seen any of the stores since the last sync */
	for (subset = changed;; subset = (subset - 1) & changed) {
		struct arm_smmu_ste mix = w->synced;

		for (i = 0; i != STRTAB_STE_DWORDS; i++)
			if (subset & BIT(i))
				mix.data[i] = w->ste.data[i];
		check_seen(w, &mix);
		if (!subset)
			break;
	}
	w->synced = w->ste;
	w->num_syncs++;
}

static const struct arm_smmu_entry_writer_ops test_writer_ops = {
	.sync = record_sync,
	.get_used = arm_smmu_get_ste_used,
};

static struct test_writer make_writer(struct kunit *test,
				      const struct arm_smmu_ste *cur,
				      const struct arm_smmu_ste *target)
{
	return (struct test_writer){
		.writer.ops = &test_writer_ops,
		.test = test,
		.old = seen_by_hw(cur),
		.new = seen_by_hw(target),
		.ste = *cur,
		.synced = *cur,
	};
}

struct test_result {
	unsigned int num_syncs;
	unsigned int num_steps;
	/* The stream was stopped on the way, and if so with V=0 */
	bool gap;
	bool invalid;
};

/* Like arm_smmu_write_ste(), on memory that no SMMU uses */
static struct test_result write_ste(struct kunit *test,
				    const struct arm_smmu_ste *cur,
				    const struct arm_smmu_ste *target)
{
	struct test_writer w = make_writer(test, cur, target);
	unsigned int num_steps = 0;
	struct arm_smmu_ste step;

	memset(&step, GENMASK(7, 0), sizeof(step));
	while (arm_smmu_ste_step(&w.ste, target, &step)) {
		/* EATS and MEV, then the VMID: at most two steps */
		if (++num_steps > 2)
			KUNIT_FAIL_AND_ABORT(test,
					     "no end: from %016llx %016llx %016llx to %016llx %016llx %016llx",
					     word(cur, 0), word(cur, 1),
					     word(cur, 2), word(target, 0),
					     word(target, 1), word(target, 2));
		arm_smmu_write_entry(&w.writer, w.ste.data, step.data);
	}
	arm_smmu_write_entry(&w.writer, w.ste.data, target->data);

	if (memcmp(&w.ste, target, sizeof(w.ste)) ||
	    memcmp(&w.synced, target, sizeof(w.synced)))
		KUNIT_FAIL_AND_ABORT(test, "the target is not what was written");
	return (struct test_result){
		.num_syncs = w.num_syncs,
		.num_steps = num_steps,
		.gap = w.gap,
		.invalid = w.invalid,
	};
}

/* Check if V would be 0 in between without steps */
static bool is_invalid_between(struct kunit *test,
			       const struct arm_smmu_ste *cur,
			       const struct arm_smmu_ste *target)
{
	struct test_writer w = make_writer(test, cur, target);

	arm_smmu_write_entry(&w.writer, w.ste.data, target->data);
	return w.invalid;
}

/*
 * Expectation for two STEs on the same stage 2. Only two nested STEs can have a
 * gap between them. A single store can change S1ContextPtr and others in word
 * 0, or S1DSS and others in word 1, or the VMID in word 2, but not two of
 * these. If the VMID changes, EATS counts as well. There are no steps in that
 * case, since two vSMMUs seldom have equal vSTEs.
 */
static bool gap_expected(const struct arm_smmu_ste *cur,
			 const struct arm_smmu_ste *target)
{
	u64 differs0 = word(cur, 0) ^ word(target, 0);
	u64 differs1 = word(cur, 1) ^ word(target, 1);

	if (!is_nested(cur) || !is_nested(target))
		return false;
	if (cur->data[2] == target->data[2])
		return differs0 && (differs1 & ~(EATS | MEV));
	return differs0 || differs1;
}

static struct test_result expect_transition(struct kunit *test,
					    const struct arm_smmu_ste *cur,
					    const struct arm_smmu_ste *target,
					    bool gap)
{
	struct test_result r = write_ste(test, cur, target);

	if (r.gap != gap)
		KUNIT_FAIL_AND_ABORT(test,
				     "a gap was%s seen: from %016llx %016llx %016llx to %016llx %016llx %016llx",
				     r.gap ? "" : " not", word(cur, 0),
				     word(cur, 1), word(cur, 2),
				     word(target, 0), word(target, 1),
				     word(target, 2));
	/* The guest's STE is valid and must not cause an event */
	if (r.invalid && has_s2(target))
		KUNIT_FAIL_AND_ABORT(test, "V=0 was seen before a guest's STE");
	return r;
}

#define VMID_HOST	0x0001
#define VMID_A		0xa00a
#define VMID_B		0x0bb0

#define CDTAB_1		0x00000000aaaaa000ULL
#define CDTAB_2		0x000f555555555540ULL

/* STEs for tests of named transitions */
enum test_ste_name {
	HOST_S2,
	A_ABORT,
	A_BYPASS,
	A_CDTAB_1,
	A_CDTAB_2,
	A_CDTAB_1_DSS,
	A_CDTAB_2_DSS,
	B_BYPASS,
	B_CDTAB_1,
	B_CDTAB_2,
	NUM_STE_NAMES,
};

static struct arm_smmu_ste make_named(struct kunit *test,
				      enum test_ste_name name, bool ats)
{
	static const struct {
		u64 word0, word1;
		u16 vmid;
	} vstes[] = {
		[A_ABORT] = { V | CONFIG(ABORT), 0, VMID_A },
		[A_BYPASS] = { V | CONFIG(BYPASS), 0, VMID_A },
		[A_CDTAB_1] = { V | CONFIG(S1) | CDTAB_1, 0xd6, VMID_A },
		[A_CDTAB_2] = { V | CONFIG(S1) | CDTAB_2, 0xd6, VMID_A },
		[A_CDTAB_1_DSS] = { V | CONFIG(S1) | CDTAB_1, 0xd5, VMID_A },
		[A_CDTAB_2_DSS] = { V | CONFIG(S1) | CDTAB_2, 0xd5, VMID_A },
		[B_BYPASS] = { V | CONFIG(BYPASS), 0, VMID_B },
		[B_CDTAB_1] = { V | CONFIG(S1) | CDTAB_1, 0xd6, VMID_B },
		[B_CDTAB_2] = { V | CONFIG(S1) | CDTAB_2, 0xd6, VMID_B },
	};
	const struct test_s2 s2 = {
		.vmid = VMID_HOST,
		.ats = ats,
		.fwb = true,
		.shcfg = true,
	};
	const struct arm_smmu_ste s2_ste = make_s2(&s2);

	if (name == HOST_S2)
		return s2_ste;
	return make_user(test, &s2_ste, vstes[name].word0, vstes[name].word1,
			 vstes[name].vmid, false);
}

/*
 * Usual transitions of a guest and its VMM: the number of steps and syncs, with
 * EATS unchanged and with EATS changed.
 */
static void test_hitless_named(struct kunit *test)
{
	static const struct {
		enum test_ste_name from, to;
		/* steps and syncs, with the same EATS and with another one */
		unsigned int steps, syncs, eats_steps, eats_syncs;
	} moves[] = {
		/* MEV, VMID, the still unused word 1, word 0 */
		{ HOST_S2, A_CDTAB_1, 2, 4, 2, 4 },
		{ HOST_S2, B_CDTAB_2, 2, 4, 2, 4 },
		/* MEV, word 0, cleanup, VMID */
		{ A_CDTAB_1, HOST_S2, 2, 4, 2, 4 },
		{ B_CDTAB_2, HOST_S2, 2, 4, 2, 4 },
		/* Only the VMID */
		{ HOST_S2, A_BYPASS, 0, 1, 1, 2 },
		{ A_BYPASS, HOST_S2, 0, 1, 1, 2 },
		{ A_BYPASS, B_BYPASS, 0, 1, 1, 2 },
		/* One vSMMU: the VMID stays the same */
		{ A_BYPASS, A_CDTAB_1, 1, 3, 1, 3 },
		{ A_CDTAB_1, A_BYPASS, 1, 3, 1, 3 },
		{ A_CDTAB_1, A_CDTAB_2, 0, 1, 1, 2 },
		{ A_CDTAB_2, A_CDTAB_1, 0, 1, 1, 2 },
		{ A_CDTAB_1, A_CDTAB_1_DSS, 0, 1, 1, 2 },
		/* Two vSMMUs, but stage 1 at one end only */
		{ A_BYPASS, B_CDTAB_1, 2, 4, 2, 4 },
		{ B_CDTAB_1, A_BYPASS, 2, 4, 2, 4 },
		/* An abort STE uses no other word */
		{ A_CDTAB_1, A_ABORT, 0, 2, 0, 2 },
		{ A_ABORT, A_CDTAB_1, 0, 2, 0, 2 },
		{ A_ABORT, B_CDTAB_1, 0, 2, 0, 2 },
		{ A_BYPASS, A_ABORT, 0, 2, 0, 2 },
		{ A_ABORT, A_BYPASS, 0, 2, 0, 2 },
		{ HOST_S2, A_ABORT, 0, 2, 0, 2 },
		{ A_ABORT, HOST_S2, 0, 2, 0, 2 },
	};
	unsigned int n;

	for (n = 0; n != 4 * ARRAY_SIZE(moves); n++) {
		const unsigned int i = n / 4;
		const unsigned int ats = n % 4;
		const bool same = ats == 0 || ats == 3;
		const struct arm_smmu_ste from =
			make_named(test, moves[i].from, ats & 1);
		const struct arm_smmu_ste to =
			make_named(test, moves[i].to, ats & 2);
		const struct test_result r =
			expect_transition(test, &from, &to, false);

		KUNIT_EXPECT_EQ_MSG(test, r.num_steps,
				    same ? moves[i].steps : moves[i].eats_steps,
				    "move %u, EATS %u to %u", i, ats & 1,
				    ats >> 1);
		KUNIT_EXPECT_EQ_MSG(test, r.num_syncs,
				    same ? moves[i].syncs : moves[i].eats_syncs,
				    "move %u, EATS %u to %u", i, ats & 1,
				    ats >> 1);
	}
}

/* A gap is needed: one guest's stage 1 must not have another guest's VMID */
static void test_gap_named(struct kunit *test)
{
	static const struct {
		enum test_ste_name from, to;
		/* The gap is needed only if EATS differs */
		bool only_with_eats;
	} moves[] = {
		{ A_CDTAB_1, B_CDTAB_2 },
		{ B_CDTAB_2, A_CDTAB_1 },
		{ A_CDTAB_2, B_CDTAB_1 },
		{ A_CDTAB_1_DSS, B_CDTAB_1 },
		{ B_CDTAB_1, A_CDTAB_1_DSS },
		{ A_CDTAB_2_DSS, B_CDTAB_1 },
		/* Equal stage 1: one store changes the VMID */
		{ A_CDTAB_1, B_CDTAB_1, true },
		{ B_CDTAB_2, A_CDTAB_2, true },
	};
	unsigned int n, ats;

	for (n = 0; n != 4 * ARRAY_SIZE(moves); n++) {
		const unsigned int i = n / 4;
		const bool same = n % 4 == 0 || n % 4 == 3;
		const bool gap = !moves[i].only_with_eats || !same;
		const struct arm_smmu_ste from =
			make_named(test, moves[i].from, n & 1);
		const struct arm_smmu_ste to =
			make_named(test, moves[i].to, n & 2);
		struct arm_smmu_ste step;
		struct test_result r;

		KUNIT_EXPECT_EQ_MSG(test, arm_smmu_ste_step(&from, &to, &step),
				    gap, "move %u, EATS %u to %u", i, n & 1,
				    n >> 1 & 1);
		r = expect_transition(test, &from, &to, gap);
		KUNIT_EXPECT_EQ_MSG(test, r.num_syncs, gap ? 4 : 1,
				    "move %u, EATS %u to %u", i, n & 1,
				    n >> 1 & 1);
	}

	/*
	 * A guest that changes both words of its vSTE has a gap, too. It asked
	 * for neither mix of old and new words.
	 */
	for (ats = 0; ats != 4; ats++) {
		const struct arm_smmu_ste from =
			make_named(test, A_CDTAB_1, ats & 1);
		const struct arm_smmu_ste to =
			make_named(test, A_CDTAB_2_DSS, ats & 2);

		expect_transition(test, &from, &to, true);
		expect_transition(test, &to, &from, true);
	}
}

/* Writing the same STE again does not disturb the stream */
static void test_no_change(struct kunit *test)
{
	enum test_ste_name name;

	for (name = 0; name != NUM_STE_NAMES; name++) {
		const struct arm_smmu_ste ste = make_named(test, name, true);
		const struct test_result r =
			expect_transition(test, &ste, &ste, false);

		KUNIT_EXPECT_EQ(test, r.num_steps, 0);
		KUNIT_EXPECT_EQ(test, r.num_syncs, 0);
	}
}

/* vSTEs that differ in word 0, in word 1, or in both */
static const struct {
	u64 word0, word1;
} pair_vstes[] = {
	{ V | CONFIG(ABORT), 0 },
	{ V | CONFIG(BYPASS), 0 },
	{ V | CONFIG(S1) | CDTAB_1, 0xd6 },
	{ V | CONFIG(S1) | CDTAB_2, 0xd6 },
	{ V | CONFIG(S1) | CDTAB_1 | 0x5800000000000020ULL, 0xd6 },
	{ V | CONFIG(S1) | CDTAB_1, 0xd5 },
	{ V | CONFIG(S1) | CDTAB_2, S1STALLD | 0x01 },
	/* Word 1 is 0, word 0 has only V and Config */
	{ V | CONFIG(S1), 0 },
};

#define NUM_PAIR_VSTES	ARRAY_SIZE(pair_vstes)

/* Stage 2 only and each vSTE on two vSMMUs, with EATS 0 and 1 */
#define NUM_PAIR_STES	(2 * (1 + 2 * NUM_PAIR_VSTES))

static void test_all_pairs(struct kunit *test)
{
	struct arm_smmu_ste *stes;
	unsigned int variant, i, j;

	stes = kunit_kcalloc(test, NUM_PAIR_STES, sizeof(*stes), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stes);

	/* S2TTB, S2FWB, SHCFG and S2S are equal at both ends */
	for (variant = 0; variant != NUM_S2_VARIANTS; variant++) {
		struct test_s2 s2 = s2_variant(variant);
		unsigned int n = 0;

		if (s2.ats)
			continue;
		for (i = 0; i != 2; i++) {
			struct arm_smmu_ste s2_ste;

			s2.ats = i;
			s2_ste = make_s2(&s2);
			stes[n++] = s2_ste;
			for (j = 0; j != NUM_PAIR_VSTES; j++) {
				stes[n++] = make_user(test, &s2_ste,
						      pair_vstes[j].word0,
						      pair_vstes[j].word1,
						      VMID_A, false);
				stes[n++] = make_user(test, &s2_ste,
						      pair_vstes[j].word0,
						      pair_vstes[j].word1,
						      VMID_B, false);
			}
		}
		KUNIT_ASSERT_EQ(test, n, NUM_PAIR_STES);

		for (i = 0; i != n; i++)
			for (j = 0; j != n; j++)
				expect_transition(test, &stes[i], &stes[j],
						  gap_expected(&stes[i],
							       &stes[j]));
	}
}

/* Another nest parent: a step could mix two page tables */
static void test_other_s2ttb(struct kunit *test)
{
	const struct test_s2 ends[2] = {
		{ .table = 0, .vmid = VMID_HOST, .fwb = true, .shcfg = true },
		{ .table = 1, .vmid = VMID_HOST + 1, .fwb = true,
		  .shcfg = true },
	};
	const struct arm_smmu_ste s2_stes[2] = {
		make_s2(&ends[0]), make_s2(&ends[1]),
	};
	struct arm_smmu_ste from, to, step;
	unsigned int n;

	for (n = 0; n != 4 * NUM_PAIR_VSTES * NUM_PAIR_VSTES; n++) {
		const unsigned int i = n / 4 % NUM_PAIR_VSTES;
		const unsigned int j = n / 4 / NUM_PAIR_VSTES;
		bool from_aborts, to_aborts;

		from = make_user(test, &s2_stes[0], pair_vstes[i].word0,
				 pair_vstes[i].word1, VMID_A, false);
		to = make_user(test, &s2_stes[1], pair_vstes[j].word0,
			       pair_vstes[j].word1, VMID_B, false);
		from_aborts = vste_config(word(&from, 0)) == ABORT;
		to_aborts = vste_config(word(&to, 0)) == ABORT;
		if (!from_aborts && (n & 1))
			from.data[1] |= cpu_to_le64(EATS_TRANS);
		if (!to_aborts && (n & 2))
			to.data[1] |= cpu_to_le64(EATS_TRANS);

		KUNIT_EXPECT_EQ(test, arm_smmu_ste_step(&from, &to, &step),
				!from_aborts && !to_aborts);
		/* S2TTB and S2VMID are in different words */
		expect_transition(test, &from, &to,
				  !from_aborts && !to_aborts);
	}
}

/* The same page table with other settings for walks or faults */
static void test_other_s2_fields(struct kunit *test)
{
	static const u64 other2[] = {
		S2S, 0x0000000100000000ULL, 0x0004000000000000ULL,
		0x0008000000000000ULL, 0x0010000000000000ULL,
		0x0040000000000000ULL, 0x0400000000000000ULL,
	};
	struct arm_smmu_ste from, to, step;
	enum test_ste_name a, b;
	struct test_result r;
	unsigned int n;

	for (n = 0; n != NUM_STE_NAMES * NUM_STE_NAMES * ARRAY_SIZE(other2);
	     n++) {
		a = n % NUM_STE_NAMES;
		b = n / NUM_STE_NAMES % NUM_STE_NAMES;
		if (a == A_ABORT || b == A_ABORT)
			continue;
		from = make_named(test, a, false);
		to = make_named(test, b, true);
		to.data[2] ^= cpu_to_le64(other2[n / NUM_STE_NAMES /
						 NUM_STE_NAMES]);
		KUNIT_EXPECT_TRUE(test, arm_smmu_ste_step(&from, &to, &step));
		KUNIT_EXPECT_TRUE(test, arm_smmu_ste_step(&to, &from, &step));
		r = write_ste(test, &from, &to);
		KUNIT_EXPECT_FALSE(test, r.invalid);
		r = write_ste(test, &to, &from);
		KUNIT_EXPECT_FALSE(test, r.invalid);
	}
}

/* STEs for kernel use: 2 + 3 * 2 * 2 + 2 * 2 * 2 * 2 */
#define NUM_KERNEL_STES	30

static unsigned int make_kernel_stes(struct arm_smmu_ste *stes)
{
	static struct arm_smmu_device smmu = {
		.features = ARM_SMMU_FEAT_STALLS | ARM_SMMU_FEAT_ATTR_TYPES_OVR,
	};
	unsigned int n = 0;
	unsigned int i;

	arm_smmu_make_abort_ste(&stes[n++]);
	arm_smmu_make_bypass_ste(&smmu, &stes[n++]);
	for (i = 0; i != 12; i++) {
		struct arm_smmu_master master = {
			.smmu = &smmu,
			.stall_enabled = i & 1,
			.cd_table = {
				.cdtab_dma = CDTAB_1,
				.s1cdmax = 16,
				.s1fmt = STRTAB_STE_0_S1FMT_64K_L2,
			},
		};

		arm_smmu_make_cdtable_ste(&stes[n++], &master, i & 2, i >> 2);
	}
	for (i = 0; i != 16; i++) {
		const struct test_s2 s2 = {
			.table = i & 1,
			.vmid = i & 2 ? VMID_HOST : VMID_HOST + 1,
			.ats = i & 4,
			.stall = i & 8,
			.shcfg = true,
		};

		stes[n++] = make_s2(&s2);
	}
	return n;
}

/*
 * Transitions between STEs of the kernel are the same as without user domains,
 * with one exception: on the way to a stage 2, an abort STE replaces V=0.
 */
static void test_kernel_stes(struct kunit *test)
{
	struct arm_smmu_ste *stes, step;
	unsigned int num_steps = 0;
	struct test_result r;
	unsigned int n;

	stes = kunit_kcalloc(test, NUM_KERNEL_STES, sizeof(*stes), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stes);
	KUNIT_ASSERT_EQ(test, make_kernel_stes(stes), NUM_KERNEL_STES);

	for (n = 0; n != NUM_KERNEL_STES * NUM_KERNEL_STES; n++) {
		const unsigned int i = n / NUM_KERNEL_STES;
		const unsigned int j = n % NUM_KERNEL_STES;
		const struct arm_smmu_ste *cur = &stes[i];
		const struct arm_smmu_ste *target = &stes[j];
		const bool want = has_s2(target) &&
				  is_invalid_between(test, cur, target);

		if (arm_smmu_ste_step(cur, target, &step) != want)
			KUNIT_FAIL_AND_ABORT(test,
					     "STE %u to %u: a step was%s made",
					     i, j, want ? " not" : "");
		num_steps += want;
		r = write_ste(test, cur, target);
		KUNIT_EXPECT_FALSE(test, has_s2(target) && r.invalid);
	}
	/* 12 of stage 1 to 16 of stage 2, 10 of 16 between those of stage 2 */
	KUNIT_EXPECT_EQ(test, num_steps, 12 * 16 + 16 * 16 * 10 / 16);
}

/* To and from STEs of the kernel, as before and after a guest has the device */
static void test_kernel_to_user(struct kunit *test)
{
	struct arm_smmu_ste *stes, ste, step;
	struct test_result r;
	unsigned int n, i;

	stes = kunit_kcalloc(test, NUM_KERNEL_STES, sizeof(*stes), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stes);
	make_kernel_stes(stes);

	for (n = 0; n != 2 * NUM_STE_NAMES; n++) {
		ste = make_named(test, n / 2, n & 1);
		for (i = 0; i != NUM_KERNEL_STES; i++) {
			write_ste(test, &ste, &stes[i]);
			r = write_ste(test, &stes[i], &ste);
			KUNIT_EXPECT_FALSE(test, has_s2(&ste) && r.invalid);
			if (vste_config(word(&stes[i], 0)) == S2)
				continue;
			KUNIT_EXPECT_FALSE(test,
					   arm_smmu_ste_step(&ste, &stes[i],
							     &step));
			KUNIT_EXPECT_EQ(test,
					arm_smmu_ste_step(&stes[i], &ste,
							  &step),
					has_s2(&ste) &&
					is_invalid_between(test, &stes[i],
							   &ste));
		}
	}
}

/* There are no steps from or to V=0 */
static void test_invalid_ends(struct kunit *test)
{
	struct arm_smmu_ste invalid = {}, ste, step;
	enum test_ste_name name;

	for (name = 0; name != NUM_STE_NAMES; name++) {
		ste = make_named(test, name, true);
		invalid = make_named(test, name, false);
		invalid.data[0] &= ~cpu_to_le64(V);
		KUNIT_EXPECT_FALSE(test,
				   arm_smmu_ste_step(&ste, &invalid, &step));
		KUNIT_EXPECT_FALSE(test,
				   arm_smmu_ste_step(&invalid, &ste, &step));
	}
}

static struct arm_smmu_ste random_ste(struct kunit *test, struct rnd_state *rnd)
{
	static const u64 configs[] = { CONFIG(BYPASS), CONFIG(S1), CONFIG(S1),
				       CONFIG(S1) };
	static const u16 vmids[] = { VMID_HOST, VMID_A, VMID_B };
	const u32 r = prandom_u32_state(rnd);
	const struct test_s2 s2 = {
		.table = !(r & 0xf),
		.vmid = VMID_HOST,
		.ats = r & 0x10,
		.fwb = true,
		.shcfg = true,
	};
	const struct arm_smmu_ste s2_ste = make_s2(&s2);
	u64 word0 = (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);
	u64 word1 = prandom_u32_state(rnd);

	/* Two of them often differ in only one word, or in none */
	word0 &= r & 0x20 ? VSTE_0_KEPT : 0x1000;
	word1 &= r & 0x40 ? VSTE_1_KEPT : 0x1;
	word0 |= configs[r >> 8 & 3];
	/* Some have V=0, which gives an abort STE */
	if (r >> 10 & 7)
		word0 |= V;
	return make_user(test, &s2_ste, word0, word1,
			 vmids[(r >> 16) % ARRAY_SIZE(vmids)], r & 0x80);
}

static void test_random_pairs(struct kunit *test)
{
	unsigned int gaps = 0, hitless = 0;
	struct arm_smmu_ste from, to;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, 3);
	for (i = 0; i != 50000; i++) {
		from = random_ste(test, &rnd);
		to = random_ste(test, &rnd);
		if (from.data[3] && to.data[3] &&
		    from.data[3] != to.data[3]) {
			write_ste(test, &from, &to);
			continue;
		}
		if (expect_transition(test, &from, &to,
				      gap_expected(&from, &to)).gap)
			gaps++;
		else
			hitless++;
	}
	/* The test needs both cases often */
	KUNIT_EXPECT_GT(test, gaps, 5000);
	KUNIT_EXPECT_GT(test, hitless, 5000);
}

/*
 * Commands
 */

/* Features of an SMMU that matter for commands */
enum {
	HAS_RIL = BIT(0),
	HAS_DS = BIT(1),
	HAS_ASID16 = BIT(2),
	HAS_SSIDS = BIT(3),
	HAS_ATS = BIT(4),
	HAS_4K = BIT(5),
	HAS_16K = BIT(6),
	HAS_64K = BIT(7),
	NUM_HAS = BIT(8),
};

static const u8 guest_ops[] = { 0x30, 0x10, 0x11, 0x12, 0x13, 0x40, 0x05, 0x06 };

static const struct arm_smmu_device *make_smmu(struct kunit *test,
					       unsigned int has)
{
	struct arm_smmu_device *smmu = test->priv;

	smmu->features = (has & HAS_RIL ? ARM_SMMU_FEAT_RANGE_INV : 0) |
			 (has & HAS_DS ? ARM_SMMU_FEAT_DS : 0) |
			 (has & HAS_ATS ? ARM_SMMU_FEAT_ATS : 0);
	smmu->asid_bits = has & HAS_ASID16 ? 16 : 8;
	smmu->ssid_bits = has & HAS_SSIDS ? 20 : 0;
	smmu->pgsize_bitmap = (has & HAS_4K ? SZ_4K | SZ_2M | SZ_1G : 0) |
			      (has & HAS_16K ? SZ_16K | SZ_32M : 0) |
			      (has & HAS_64K ? SZ_64K | SZ_512M : 0);
	return smmu;
}

/* Convert a single command */
static int convert_cmd(const struct arm_smmu_device *smmu, u16 vmid, u64 *cmd)
{
	struct arm_smmu_user_cmds legal;
	bool have_sids = false;
	u32 num = 1;
	int ret;

	arm_smmu_init_user_cmds(smmu, &legal);
	ret = arm_smmu_convert_user_cmds(&legal, vmid, cmd, &num, &have_sids);
	if (!ret && (num != 1 || have_sids != arm_smmu_user_cmd_has_sid(cmd)))
		return -EPROTO;
	return ret;
}

/* Check for reserved values and combinations of the range fields */
static bool want_range(unsigned int has, u64 word0, u64 word1)
{
	unsigned int num = word0 >> 12 & 0x1f;
	unsigned int scale = word0 >> 20 & 0x3f;
	unsigned int ttl = word1 >> 8 & 3;
	unsigned int tg = word1 >> 10 & 3;

	if (!tg)
		return !num && !scale && !ttl;
	if (!num && !scale && !ttl)
		return false;
	if (tg == 1)
		return has & HAS_4K;
	if (tg == 2)
		return (has & HAS_16K) && (ttl != 1 || (has & HAS_DS));
	return has & HAS_64K;
}

static bool want_accepted(unsigned int has, u64 word0, u64 word1)
{
	const unsigned int op = word0 & 0xff;
	u64 mask0, mask1;

	switch (op) {
	case 0x30:
		mask0 = 0x00000000000000ffULL;
		mask1 = 0;
		break;
	case 0x10:
		mask0 = 0x0000ffff000000ffULL;
		mask1 = 0;
		break;
	case 0x11:
		mask0 = has & HAS_ASID16 ? 0xffffffff000000ffULL :
					   0x00ffffff000000ffULL;
		mask1 = 0;
		break;
	case 0x12:
		mask0 = has & HAS_ASID16 ? 0xffffffff000000ffULL :
					   0x00ffffff000000ffULL;
		mask1 = 0xfffffffffffff001ULL;
		break;
	case 0x13:
		mask0 = 0x0000ffff000000ffULL;
		mask1 = 0xfffffffffffff001ULL;
		break;
	case 0x40:
		if (!(has & HAS_ATS))
			return false;
		mask0 = has & HAS_SSIDS ? 0xfffffffffffffaffULL :
					  0xffffffff000000ffULL;
		mask1 = 0xfffffffffffff03fULL;
		if ((word1 & 0x3f) > 52)
			return false;
		break;
	case 0x05:
		mask0 = has & HAS_SSIDS ? 0xfffffffffffff0ffULL :
					  0xffffffff000000ffULL;
		mask1 = 1;
		break;
	case 0x06:
		mask0 = 0xffffffff000000ffULL;
		mask1 = 0;
		break;
	default:
		return false;
	}
	if ((op == 0x12 || op == 0x13) && (has & HAS_RIL)) {
		mask0 |= has & HAS_DS ? 0x0000000003f1f000ULL :
					0x0000000001f1f000ULL;
		mask1 |= 0x0000000000000f00ULL;
		if (!want_range(has, word0, word1))
			return false;
	}
	return !(word0 & ~mask0) && !(word1 & ~mask1);
}

static void expect_cmd(struct kunit *test, const struct arm_smmu_device *smmu,
		       unsigned int has, u16 vmid, u64 word0, u64 word1)
{
	const bool want = want_accepted(has, word0, word1);
	bool want_sid = false;
	u64 want_word0;
	u64 cmd[2] = { word0, word1 };
	bool has_sid;
	int ret;

	switch (word0 & 0xff) {
	case 0x05:
	case 0x06:
	case 0x40:
		/* The caller replaces the StreamID */
		want_sid = true;
		want_word0 = word0;
		break;
	case 0x30:
		want_word0 = 0x10 | (u64)vmid << 32;
		break;
	default:
		want_word0 = (word0 & ~0x0000ffff00000000ULL) |
			     (u64)vmid << 32;
		break;
	}

	has_sid = arm_smmu_user_cmd_has_sid(cmd);
	ret = convert_cmd(smmu, vmid, cmd);
	if (ret != (want ? 0 : -EIO))
		KUNIT_FAIL_AND_ABORT(test,
				     "command %016llx %016llx, SMMU has %#x: %d",
				     word0, word1, has, ret);
	if (!ret && (cmd[0] != want_word0 || cmd[1] != word1 ||
		     has_sid != want_sid))
		KUNIT_FAIL_AND_ABORT(test,
				     "command %016llx %016llx, vmid %#x, SMMU has %#x: becomes %016llx %016llx, has_sid %d",
				     word0, word1, vmid, has, cmd[0], cmd[1],
				     has_sid);
}

/* Only the eight opcodes are accepted, ATC_INV only with ATS */
static void test_cmd_opcodes(struct kunit *test)
{
	unsigned int has, op, i;

	for (has = 0; has != NUM_HAS; has++) {
		const struct arm_smmu_device *smmu = make_smmu(test, has);

		for (op = 0; op != 256; op++) {
			u64 cmd[2] = { op };
			bool want = false;

			for (i = 0; i != ARRAY_SIZE(guest_ops); i++)
				want |= op == guest_ops[i];
			if (op == 0x40)
				want = has & HAS_ATS;
			if (convert_cmd(smmu, 7, cmd) != (want ? 0 : -EIO))
				KUNIT_FAIL_AND_ABORT(test,
						     "opcode %#x, SMMU has %#x",
						     op, has);
		}
	}
}

/*
 * Flip each bit in a command without operands, in one with all of them, and in
 * ranges of each granule.
 */
static void test_cmd_each_bit(struct kunit *test)
{
	unsigned int has, i, j, bit;

	for (has = 0; has != NUM_HAS; has++) {
		const struct arm_smmu_device *smmu = make_smmu(test, has);

		for (i = 0; i != ARRAY_SIZE(guest_ops); i++) {
			const u64 op = guest_ops[i];
			const u64 bases[][2] = {
				{ op, 0 },
				{ op | 0xffffffff00000000ULL,
				  0xfffffffffffff001ULL },
				{ op | 0x00ffffff01f1f000ULL,
				  0xffffffffffffff01ULL },
				{ op | 0x1000, 0x400 },
				{ op | 0x100000, 0x800 },
				{ op, 0xd00 },
				{ op | 0xfffffa00ULL, 52 },
			};

			for (j = 0; j != ARRAY_SIZE(bases); j++) {
				expect_cmd(test, smmu, has, 0xa55a, bases[j][0],
					   bases[j][1]);
				for (bit = 0; bit != 64; bit++) {
					expect_cmd(test, smmu, has, 0xa55a,
						   bases[j][0] ^ BIT_ULL(bit),
						   bases[j][1]);
					expect_cmd(test, smmu, has, 0xa55a,
						   bases[j][0],
						   bases[j][1] ^ BIT_ULL(bit));
				}
			}
		}
	}
}

/*
 * Without the oracle: bits that may be set alone in an otherwise empty command,
 * for an SMMU with all features and one with none.
 */
static void test_cmd_masks(struct kunit *test)
{
	static const struct {
		u8 op;
		/* Range fields can't be set alone, with TG=0 */
		u64 all[2], none[2];
	} cmds[] = {
		{ 0x30, { 0, 0 }, { 0, 0 } },
		{ 0x10, { 0x0000ffff00000000ULL, 0 },
		  { 0x0000ffff00000000ULL, 0 } },
		{ 0x11, { 0xffffffff00000000ULL, 0 },
		  { 0x00ffffff00000000ULL, 0 } },
		{ 0x12, { 0xffffffff00000000ULL, 0xfffffffffffff001ULL },
		  { 0x00ffffff00000000ULL, 0xfffffffffffff001ULL } },
		{ 0x13, { 0x0000ffff00000000ULL, 0xfffffffffffff001ULL },
		  { 0x0000ffff00000000ULL, 0xfffffffffffff001ULL } },
		{ 0x40, { 0xfffffffffffffa00ULL, 0xfffffffffffff03fULL },
		  { 0, 0 } },
		{ 0x05, { 0xfffffffffffff000ULL, 1 },
		  { 0xffffffff00000000ULL, 1 } },
		{ 0x06, { 0xffffffff00000000ULL, 0 },
		  { 0xffffffff00000000ULL, 0 } },
	};
	unsigned int n, bit;

	for (n = 0; n != 2 * ARRAY_SIZE(cmds); n++) {
		const unsigned int i = n / 2;
		const bool all = n & 1;
		const struct arm_smmu_device *smmu =
			make_smmu(test, all ? NUM_HAS - 1 : 0);
		const u64 *want = all ? cmds[i].all : cmds[i].none;
		u64 accepted[2] = {};

		for (bit = 8; bit != 128; bit++) {
			u64 cmd[2] = { cmds[i].op };

			cmd[bit / 64] |= BIT_ULL(bit % 64);
			if (!convert_cmd(smmu, 7, cmd))
				accepted[bit / 64] |= BIT_ULL(bit % 64);
		}
		KUNIT_EXPECT_EQ_MSG(test, want[0], accepted[0],
				    "opcode %#x, %s features", cmds[i].op,
				    all ? "all" : "no");
		KUNIT_EXPECT_EQ_MSG(test, want[1], accepted[1],
				    "opcode %#x, %s features", cmds[i].op,
				    all ? "all" : "no");
	}
}

/* All values of NUM, SCALE, TTL and TG */
static void test_cmd_ranges(struct kunit *test)
{
	unsigned int n;
	u64 m;

	/* With and without DS, for each set of granules */
	for (n = 0; n != 16; n++) {
		const unsigned int has = HAS_RIL | HAS_ASID16 |
					 (n & 1 ? HAS_DS : 0) |
					 (n >> 1) * HAS_4K;
		const struct arm_smmu_device *smmu = make_smmu(test, has);

		for (m = 0; m != BIT(15); m++) {
			/* NUM and SCALE; TTL and TG */
			const u64 word0 = (m & 31) << 12 | (m >> 5 & 63) << 20;
			const u64 word1 = (m >> 11) << 8;

			expect_cmd(test, smmu, has, 1, 0x12 | word0, word1);
			expect_cmd(test, smmu, has, 1, 0x13 | word0, word1);
		}
	}
}

static void test_cmd_atc_size(struct kunit *test)
{
	unsigned int has, size;

	for (has = 0; has != NUM_HAS; has++) {
		const struct arm_smmu_device *smmu = make_smmu(test, has);

		for (size = 0; size != 64; size++) {
			u64 cmd[2] = { 0x40, size };
			bool want = (has & HAS_ATS) && size <= 52;

			KUNIT_EXPECT_EQ_MSG(test, want ? 0 : -EIO,
					    convert_cmd(smmu, 7, cmd),
					    "size %u, SMMU has %#x", size, has);
		}
	}
}

/* SubstreamIDs in commands, for each width that a device may have */
static void test_cmd_substreams(struct kunit *test)
{
	static const u64 words1[] = { 0, ~0ULL };
	const u64 flags[] = { 0, 0x200, 0x800, 0xa00 };
	unsigned int bits, i, j;

	for (bits = 0; bits <= 20; bits++) {
		for (i = 0; i != ARRAY_SIZE(flags); i++) {
			for (j = 0; j != 41; j++) {
				/* Each power of two, and its predecessor */
				const u64 ssid = BIT(j / 2) - !(j & 1);
				const u64 word0 = 0x5a5a5a5a00000040ULL |
						  flags[i] | ssid << 12;
				const bool ssv = flags[i] & 0x800;
				const bool fits = !ssv || !bits ||
						  ssid < BIT(bits);
				u64 want = (word0 & 0xffffffffULL) |
					   0x12345678ULL << 32;
				u64 cmd[2] = { word0, words1[i & 1] };
				int ret;

				if (ssv && !bits)
					want = 0x1234567800000040ULL;
				ret = arm_smmu_set_user_cmd_sid(cmd, 0x12345678,
								bits);
				if (ret != (fits ? 0 : -EIO) ||
				    (fits && cmd[0] != want) ||
				    cmd[1] != words1[i & 1])
					KUNIT_FAIL_AND_ABORT(test,
							     "%u bits, command %016llx: %d, becomes %016llx",
							     bits, word0, ret,
							     cmd[0]);
			}
		}
	}

	/* In the other commands with a StreamID nothing else changes */
	for (j = 0x05; j != 0x07; j++) {
		u64 cmd[2] = { 0xa5a5a5a5fffff000ULL | j, 1 };

		KUNIT_EXPECT_EQ(test, 0,
				arm_smmu_set_user_cmd_sid(cmd, 0xfedcba98, 0));
		KUNIT_EXPECT_EQ(test, 0xfedcba98fffff000ULL | j, cmd[0]);
		KUNIT_EXPECT_EQ(test, 1ULL, cmd[1]);
	}
}

/* At most 1024 commands, and at most an eighth of the queue */
static void test_cmds_per_sync(struct kunit *test)
{
	struct arm_smmu_device *smmu = kunit_kzalloc(test, sizeof(*smmu),
						     GFP_KERNEL);
	unsigned int shift;

	KUNIT_ASSERT_NOT_NULL(test, smmu);
	for (shift = 7; shift != 20; shift++) {
		smmu->cmdq.q.llq.max_n_shift = shift;
		KUNIT_EXPECT_EQ(test, shift < 13 ? 1U << shift >> 3 : 1024,
				arm_smmu_user_cmds_per_sync(smmu));
	}
}

/* All VMIDs, of the guest and of the kernel */
static void test_cmd_vmid(struct kunit *test)
{
	static const u8 ops[] = { 0x10, 0x11, 0x12, 0x13 };
	const unsigned int has = NUM_HAS - 1;
	const struct arm_smmu_device *smmu = make_smmu(test, has);
	unsigned int i;
	u64 vmid;

	for (vmid = 0; vmid <= U16_MAX; vmid++) {
		for (i = 0; i != ARRAY_SIZE(ops); i++) {
			expect_cmd(test, smmu, has, ~vmid, ops[i] | vmid << 32,
				   0);
			expect_cmd(test, smmu, has, vmid, ops[i], 0);
		}
		/* NSNH_ALL has no VMID, but its conversion has one */
		expect_cmd(test, smmu, has, vmid, 0x30, 0);
		expect_cmd(test, smmu, has, ~vmid, 0x30 | vmid << 32, 0);
	}
}

static void test_cmd_random(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, 4);
	for (i = 0; i != 300000; i++) {
		const unsigned int has = prandom_u32_state(&rnd) % NUM_HAS;
		const struct arm_smmu_device *smmu = make_smmu(test, has);
		const u32 r = prandom_u32_state(&rnd);
		u64 word0 = (u64)prandom_u32_state(&rnd) << 32 |
			    prandom_u32_state(&rnd);
		u64 word1 = (u64)prandom_u32_state(&rnd) << 32 |
			    prandom_u32_state(&rnd);

		expect_cmd(test, smmu, has, r, word0, word1);
		/* Closer to valid commands */
		word0 &= r & BIT(16) ? 0xffffffff03f1f000ULL :
				       0xfffffffffffffa00ULL;
		if (r & BIT(17))
			word0 &= 0xffffffff00000000ULL;
		if (r & BIT(18))
			word0 &= ~0xff00000000000000ULL;
		word1 &= r & BIT(19) ? 0xffffffffffffff01ULL :
				       0xfffffffffffff03fULL;
		if (r & BIT(20))
			word1 &= 1;
		word0 |= guest_ops[r >> 24 & 7];
		expect_cmd(test, smmu, has, r, word0, word1);
	}
}

/*
 * Hardware information for user space
 */

/* Register bits to hide if the kernel does not use the feature */
static const struct {
	u32 feature;
	unsigned int idr;
	u32 bits;
} hw_info_bits[] = {
	{ ARM_SMMU_FEAT_BTM, 0, 0x00000020 },
	{ ARM_SMMU_FEAT_COHERENCY, 0, 0x00000010 },
	{ ARM_SMMU_FEAT_ATS, 0, 0x00000400 },
	{ ARM_SMMU_FEAT_SEV, 0, 0x00004000 },
	{ ARM_SMMU_FEAT_PRI, 0, 0x00010000 },
	{ ARM_SMMU_FEAT_RANGE_INV, 3, 0x00000400 },
	{ ARM_SMMU_FEAT_S2FWB, 3, 0x00000100 },
	{ ARM_SMMU_FEAT_DS, 5, 0x00000080 },
};

static void expect_hw_info(struct kunit *test, u32 features,
			   const struct iommu_hw_info_arm_smmuv3 *raw,
			   const struct iommu_hw_info_arm_smmuv3 *want)
{
	struct arm_smmu_device *smmu = test->priv;
	struct iommu_hw_info_arm_smmuv3 info = *raw;

	smmu->features = features;
	arm_smmu_mask_hw_info(smmu, &info);
	if (memcmp(&info, want, sizeof(info)))
		KUNIT_FAIL_AND_ABORT(test,
				     "features %#x, idr0 %#x to %#x not %#x, idr3 %#x to %#x not %#x, idr5 %#x to %#x not %#x",
				     features, raw->idr[0], info.idr[0],
				     want->idr[0], raw->idr[3], info.idr[3],
				     want->idr[3], raw->idr[5], info.idr[5],
				     want->idr[5]);
}

/* Each set of features, with all register bits set and each HTTU value */
static void test_hw_info(struct kunit *test)
{
	/* Remaining HTTU: none, access flag, access flag and dirty state */
	static const struct {
		u32 features;
		u32 httu[3];
	} httu[] = {
		{ 0, { 0x00, 0x00, 0x00 } },
		{ ARM_SMMU_FEAT_HA, { 0x00, 0x40, 0x40 } },
		{ ARM_SMMU_FEAT_HA | ARM_SMMU_FEAT_HD, { 0x00, 0x40, 0x80 } },
	};
	struct iommu_hw_info_arm_smmuv3 raw, want;
	unsigned int n, k;

	for (n = 0; n != 9 << ARRAY_SIZE(hw_info_bits); n++) {
		const unsigned int i = n % 3;
		const unsigned int j = n / 3 % 3;
		u32 features = httu[i].features;

		memset(&raw, GENMASK(7, 0), sizeof(raw));
		raw.idr[0] &= ~0xc0;
		raw.idr[0] |= j << 6;
		want = raw;
		want.idr[0] &= ~0xc0;
		want.idr[0] |= httu[i].httu[j];
		for (k = 0; k != ARRAY_SIZE(hw_info_bits); k++) {
			if (n / 9 & BIT(k))
				features |= hw_info_bits[k].feature;
			else
				want.idr[hw_info_bits[k].idr] &=
					~hw_info_bits[k].bits;
		}
		expect_hw_info(test, features, &raw, &want);
		/* Other features of the kernel do not matter */
		features |= ARM_SMMU_FEAT_2_LVL_STRTAB | ARM_SMMU_FEAT_STALLS |
			    ARM_SMMU_FEAT_SVA | ARM_SMMU_FEAT_E2H |
			    ARM_SMMU_FEAT_NESTING;
		expect_hw_info(test, features, &raw, &want);
	}
}

/* Bits are only cleared, also for features that the kernel enables */
static void test_hw_info_clears_only(struct kunit *test)
{
	struct iommu_hw_info_arm_smmuv3 raw = {};
	struct iommu_hw_info_arm_smmuv3 want;
	unsigned int n, i;

	expect_hw_info(test, 0, &raw, &raw);
	expect_hw_info(test, U32_MAX, &raw, &raw);
	/* With all features the registers do not change */
	memset(&raw, GENMASK(7, 0), sizeof(raw));
	expect_hw_info(test, U32_MAX, &raw, &raw);

	/* A single bit of one register, without any feature */
	for (n = 0; n != 32 * ARRAY_SIZE(raw.idr); n++) {
		memset(&raw, 0, sizeof(raw));
		raw.idr[n / 32] = BIT(n % 32);
		want = raw;
		want.idr[0] &= ~0xc0;
		for (i = 0; i != ARRAY_SIZE(hw_info_bits); i++)
			want.idr[hw_info_bits[i].idr] &= ~hw_info_bits[i].bits;
		expect_hw_info(test, 0, &raw, &want);
		expect_hw_info(test, U32_MAX, &raw, &raw);
	}
}

static int arm_smmu_v3_user_test_init(struct kunit *test)
{
	/* Too large for the stack */
	test->priv = kunit_kzalloc(test, sizeof(struct arm_smmu_device),
				   GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

/* The recipient of each event ID, for all values of Stall and S2 */
static void test_evt_owner(struct kunit *test)
{
	static const u8 guests[] = {
		0x04, 0x06, 0x08, 0x0a, 0x10, 0x11, 0x12, 0x13,
	};
	unsigned int id, i, bits;

	for (id = 0; id != 0x100; id++) {
		bool is_guests = false;
		/* Only the four translation faults have Stall and S2 */
		bool is_fault = id >= 0x10 && id <= 0x13;

		for (i = 0; i != ARRAY_SIZE(guests); i++)
			is_guests |= guests[i] == id;
		for (bits = 0; bits != 4; bits++) {
			const bool stall = bits & 1, s2 = bits & 2;
			u64 evt[EVTQ_ENT_DWORDS] = {
				0x1234567800000800ULL | id,
				(stall ? 0x80000000ULL : 0) |
					(s2 ? 0x8000000000ULL : 0),
				~0ULL, ~0ULL,
			};
			enum arm_smmu_evt_owner owner = ARM_SMMU_EVT_HOST;

			if (is_guests)
				owner = is_fault && s2 ? ARM_SMMU_EVT_STAGE2 :
							 ARM_SMMU_EVT_GUEST;
			KUNIT_EXPECT_EQ_MSG(test, owner,
					    arm_smmu_evt_owner(evt),
					    "event 0x%02x stall %d s2 %d", id,
					    stall, s2);
		}
	}
}

/* If an event is no translation fault, only its StreamID changes */
static void test_make_vevent(struct kunit *test)
{
	static const u32 vsids[] = { 0, 1, 0x1234, 0x80000000, ~0U };
	static const u64 fill[] = { 0, ~0ULL, 0x0123456789abcdefULL };
	struct iommu_vevent_arm_smmuv3 vevent;
	unsigned int i, j;

	for (i = 0; i != ARRAY_SIZE(vsids); i++) {
		for (j = 0; j != ARRAY_SIZE(fill); j++) {
			const u64 evt[EVTQ_ENT_DWORDS] = {
				fill[j], ~fill[j], fill[j] + 2, fill[j] ^ 0xff,
			};

			arm_smmu_make_vevent(&vevent, evt, vsids[i]);
			KUNIT_EXPECT_EQ(test, le64_to_cpu(vevent.evt[0]),
					(fill[j] & 0xffffffff) |
						(u64)vsids[i] << 32);
			KUNIT_EXPECT_EQ(test, le64_to_cpu(vevent.evt[1]),
					evt[1]);
			KUNIT_EXPECT_EQ(test, le64_to_cpu(vevent.evt[2]),
					evt[2]);
			KUNIT_EXPECT_EQ(test, le64_to_cpu(vevent.evt[3]),
					evt[3]);
		}
	}
}

/* Word 1 of the four faults: Stall is bit 31, STAG is bits 15 to 0 */
static void test_make_vevent_stall(struct kunit *test)
{
	static const u64 words[] = {
		~0ULL, 0x80000000ULL, 0x8000ffffULL, 0x8000000080001234ULL,
		/* No stall: STAG is kept */
		0xffffffff7fffffffULL, 0xffffULL, 0,
	};
	struct iommu_vevent_arm_smmuv3 vevent;
	unsigned int id, i;
	u64 want;

	for (id = 0; id != 0x100; id++) {
		for (i = 0; i != ARRAY_SIZE(words); i++) {
			const u64 evt[EVTQ_ENT_DWORDS] = {
				0x1234567800000800ULL | id, words[i], ~0ULL, 5,
			};

			want = words[i];
			if (id >= 0x10 && id <= 0x13 && want & 0x80000000ULL)
				want &= 0xffffffff7fff0000ULL;
			arm_smmu_make_vevent(&vevent, evt, 7);
			KUNIT_EXPECT_EQ(test, le64_to_cpu(vevent.evt[0]),
					0x700000800ULL | id);
			KUNIT_EXPECT_EQ_MSG(test, le64_to_cpu(vevent.evt[1]),
					    want, "event 0x%02x word 0x%016llx",
					    id, words[i]);
			KUNIT_EXPECT_EQ(test, le64_to_cpu(vevent.evt[2]),
					~0ULL);
			KUNIT_EXPECT_EQ(test, le64_to_cpu(vevent.evt[3]), 5);
		}
	}
}

static struct kunit_case arm_smmu_v3_user_test_cases[] = {
	KUNIT_CASE(test_vste_each_bit),
	KUNIT_CASE(test_vste_mask),
	KUNIT_CASE(test_vste_config_eats),
	KUNIT_CASE(test_vste_invalid),
	KUNIT_CASE_SLOW(test_vste_sweep),
	KUNIT_CASE(test_vste_random),
	KUNIT_CASE(test_vste_wants_ats),
	KUNIT_CASE(test_s2_ste),
	KUNIT_CASE(test_compose_nested_guest),
	KUNIT_CASE(test_compose_nested_host),
	KUNIT_CASE(test_compose_bypass_abort),
	KUNIT_CASE(test_used_fields),
	KUNIT_CASE(test_hitless_named),
	KUNIT_CASE(test_gap_named),
	KUNIT_CASE(test_no_change),
	KUNIT_CASE(test_all_pairs),
	KUNIT_CASE(test_other_s2ttb),
	KUNIT_CASE(test_other_s2_fields),
	KUNIT_CASE(test_kernel_stes),
	KUNIT_CASE(test_kernel_to_user),
	KUNIT_CASE(test_invalid_ends),
	KUNIT_CASE(test_random_pairs),
	KUNIT_CASE(test_cmd_opcodes),
	KUNIT_CASE(test_cmd_each_bit),
	KUNIT_CASE(test_cmd_masks),
	KUNIT_CASE(test_cmd_ranges),
	KUNIT_CASE(test_cmd_atc_size),
	KUNIT_CASE(test_cmd_substreams),
	KUNIT_CASE(test_cmds_per_sync),
	KUNIT_CASE(test_cmd_vmid),
	KUNIT_CASE(test_cmd_random),
	KUNIT_CASE(test_evt_owner),
	KUNIT_CASE(test_make_vevent),
	KUNIT_CASE(test_make_vevent_stall),
	KUNIT_CASE(test_hw_info),
	KUNIT_CASE(test_hw_info_clears_only),
	{},
};

static struct kunit_suite arm_smmu_v3_user_test_suite = {
	.name = "arm-smmu-v3-user",
	.init = arm_smmu_v3_user_test_init,
	.test_cases = arm_smmu_v3_user_test_cases,
};

kunit_test_suites(&arm_smmu_v3_user_test_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests for nested translation of the ARM SMMUv3");
MODULE_LICENSE("GPL");
