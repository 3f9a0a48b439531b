// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choose the geometry of a kernel-owned page table. Pure: (request, features)
 * to (geometry | errno). A request is met as it is, or refused.
 *
 * Section numbers refer to Arm IHI 0070, the SMMUv3 architecture, unless
 * another document is named.
 */
#include <linux/sizes.h>
#include <kunit/visibility.h>

#include "arm-smmu-v3-pgtable.h"

/* Limits of the architecture, with all optional features, 3.4 */
#define INPUT_BITS_MIN		16
#define INPUT_BITS_MAX		56

/* Smaller sizes need small translation tables (IDR3.STT), 5.2 and 5.4 */
#define INPUT_BITS_NO_STT	25

/* Limit of 4K and 16K pages without 52-bit descriptors (IDR5.DS), 3.4 */
#define ADDR_BITS_NO_DS		48
#define ADDR_BITS_64K		52

static bool is_output_size(u32 bits)
{
	/* SMMU_IDR5.OAS, 6.3.6 */
	switch (bits) {
	case 32:
	case 36:
	case 40:
	case 42:
	case 44:
	case 48:
	case 52:
	case 56:
		return true;
	default:
		return false;
	}
}

static int check_want(const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	if (want->flags || want->reserved)
		return -EOPNOTSUPP;
	if (want->stage > 2)
		return -EINVAL;
	if (want->input_bits && (want->input_bits < INPUT_BITS_MIN ||
				 want->input_bits > INPUT_BITS_MAX))
		return -EINVAL;
	if (want->output_bits && !is_output_size(want->output_bits))
		return -EINVAL;
	switch (want->granule_shift) {
	case 0:
	case 12:
	case 14:
	case 16:
		return 0;
	default:
		return -EINVAL;
	}
}

static bool can_do_stage(const struct arm_smmu_device *smmu, u32 flags,
			 enum arm_smmu_domain_stage stage)
{
	if (stage == ARM_SMMU_DOMAIN_S1) {
		/* A nest parent is stage 2 */
		return (smmu->features & ARM_SMMU_FEAT_TRANS_S1) &&
		       !(flags & IOMMU_HWPT_ALLOC_NEST_PARENT);
	}
	if ((flags & IOMMU_HWPT_ALLOC_NEST_PARENT) &&
	    !(smmu->features & ARM_SMMU_FEAT_NESTING))
		return false;
	/* The architecture has dirty state at stage 2, io-pgtable doesn't */
	return (smmu->features & ARM_SMMU_FEAT_TRANS_S2) &&
	       !(flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
}

/* Domains that the kernel makes for itself keep their defaults */
static bool is_for_user(u32 flags,
			const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	return want->stage || want->input_bits || want->output_bits ||
	       want->granule_shift || (flags & IOMMU_HWPT_ALLOC_NEST_PARENT);
}

/* Compute @ias, @oas and @pgsize_bitmap for a stage and granule, if they fit */
static bool fit(struct arm_smmu_pgtable *chosen,
		const struct arm_smmu_device *smmu, u32 flags,
		const struct iommu_hwpt_arm_smmuv3_pgtable *want,
		unsigned int granule_shift)
{
	unsigned int max_bits = ADDR_BITS_NO_DS;
	unsigned long sizes;
	unsigned int ias, oas;

	if (!(smmu->pgsize_bitmap & BIT(granule_shift)))
		return false;
	switch (granule_shift) {
	case 12:
		sizes = SZ_4K | SZ_2M | SZ_1G;
		break;
	case 14:
		sizes = SZ_16K | SZ_32M;
		break;
	default:
		sizes = SZ_64K | SZ_512M;
		max_bits = ADDR_BITS_64K;
		break;
	}

	if (chosen->stage == ARM_SMMU_DOMAIN_S1) {
		ias = smmu->features & ARM_SMMU_FEAT_VAX ? 52 : 48;
		ias = min_t(unsigned int, ias, VA_BITS);
		oas = smmu->ias;
	} else {
		ias = smmu->ias;
		oas = smmu->oas;
	}
	ias = min(ias, max_bits);
	oas = min(oas, max_bits);

	if (want->output_bits) {
		if (want->output_bits > min_t(unsigned int, smmu->oas, max_bits))
			return false;
		oas = want->output_bits;
	}
	if (chosen->stage == ARM_SMMU_DOMAIN_S2 && is_for_user(flags, want)) {
		/* An IPA needs no more bits than the output address */
		ias = min(ias, oas);
		/*
		 * Arm DDI 0487, D8.2: with 16K pages and at most 40 bits of
		 * output, stage 2 starts at level 2. Above 36 bits of input,
		 * io-pgtable starts at level 1.
		 */
		if (granule_shift == 14 && oas <= 40)
			ias = min(ias, 36U);
	}
	if (want->input_bits) {
		if (want->input_bits < INPUT_BITS_NO_STT ||
		    want->input_bits > ias)
			return false;
		ias = want->input_bits;
	}
	if (granule_shift == 16 && oas > ADDR_BITS_NO_DS)
		sizes |= 1ULL << 42; /* 4TB */

	chosen->ias = ias;
	chosen->oas = oas;
	/* A block is smaller than the input range */
	chosen->pgsize_bitmap = smmu->pgsize_bitmap & sizes & (BIT_ULL(ias) - 1);
	return true;
}

/* Try the granules in order; the first that fits wins */
static bool fit_granule(struct arm_smmu_pgtable *chosen,
			const struct arm_smmu_device *smmu, u32 flags,
			const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	int shift;

	/* iommufd maps contiguous memory in pages, not in larger units */
	if (want->granule_shift)
		return want->granule_shift <= PAGE_SHIFT &&
		       fit(chosen, smmu, flags, want, want->granule_shift);

	/* The CPU's page size first, then smaller ones */
	for (shift = PAGE_SHIFT; shift >= 12; shift -= 2)
		if (fit(chosen, smmu, flags, want, shift))
			return true;
	/* A domain of the kernel may use larger pages than the CPU */
	if (is_for_user(flags, want))
		return false;
	for (shift = PAGE_SHIFT + 2; shift <= 16; shift += 2)
		if (fit(chosen, smmu, flags, want, shift))
			return true;
	return false;
}

/**
 * arm_smmu_choose_pgtable() - Choose the geometry of a page table
 * @chosen: Filled in with the geometry on success
 * @smmu: SMMU that walks the table
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT for a stage 2 below a guest's stage 1,
 *         IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 * @want: Request of user space. If a field is 0, or @want is NULL, the driver
 *        chooses: stage 1 before stage 2, the granule of the CPU's pages if the
 *        SMMU has it, and the largest addresses.
 *
 * The driver's choices make the rest of the request fit. A value in the request
 * is never replaced by another one.
 *
 * Return: 0, or
 * * -EINVAL if the architecture has no such stage, size or granule
 * * -EOPNOTSUPP if flags or reserved fields are not 0, or the request exceeds
 *   this SMMU, the page table code or the kernel's page size. This includes a
 *   nest parent at stage 1 and dirty tracking at stage 2.
 */
int arm_smmu_choose_pgtable(struct arm_smmu_pgtable *chosen,
			    const struct arm_smmu_device *smmu, u32 flags,
			    const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	static const struct iommu_hwpt_arm_smmuv3_pgtable whatever;
	int ret;

	if (!want)
		want = &whatever;
	ret = check_want(want);
	if (ret)
		return ret;

	if (want->stage != 2 && can_do_stage(smmu, flags, ARM_SMMU_DOMAIN_S1)) {
		chosen->stage = ARM_SMMU_DOMAIN_S1;
		if (fit_granule(chosen, smmu, flags, want))
			return 0;
	}
	if (want->stage != 1 && can_do_stage(smmu, flags, ARM_SMMU_DOMAIN_S2)) {
		chosen->stage = ARM_SMMU_DOMAIN_S2;
		if (fit_granule(chosen, smmu, flags, want))
			return 0;
	}
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_choose_pgtable);
