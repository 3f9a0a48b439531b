// SPDX-License-Identifier: GPL-2.0
/*
 * Requests for the removed VFIO_TYPE1_NESTING_IOMMU fail without side effects
 */
#include <assert.h>

#include "vfio_utils.h"

#define NESTING		__VFIO_RESERVED_TYPE1_NESTING_IOMMU

static_assert(NESTING == 6, "a number of the ABI");

FIXTURE(removed)
{
	struct container c;
};

FIXTURE_VARIANT(removed)
{
	enum container_kind kind;
	/* errno where an existing type would be accepted */
	int refused;
};

/* No IOMMU backend of vfio claims the number */
FIXTURE_VARIANT_ADD(removed, type1)
{
	.kind = CONTAINER_TYPE1,
	.refused = ENODEV,
};

/* iommufd is the only backend there, and refuses types that it lacks */
FIXTURE_VARIANT_ADD(removed, iommufd)
{
	.kind = CONTAINER_IOMMUFD,
	.refused = EINVAL,
};

FIXTURE_SETUP(removed)
{
	const char *why = container_why_not(variant->kind);

	if (why)
		SKIP(return, "%s", why);
	container_init(_metadata, &self->c, variant->kind);
}

FIXTURE_TEARDOWN(removed)
{
	container_close(&self->c);
}

static void check_extensions(struct __test_metadata *_metadata,
			     struct container *c)
{
	FACT_IS(0, vfio_container_check_extension(c->fd, NESTING));
	FACT_IS(1, vfio_container_check_extension(c->fd, VFIO_TYPE1_IOMMU));
	FACT_IS(1, vfio_container_check_extension(c->fd, VFIO_TYPE1v2_IOMMU));
}

/* Map, do DMA, unmap */
static void check_dma(struct __test_metadata *_metadata, struct container *c)
{
	FACT(container_map(c, 0, 2, MAP_RW));
	dma_reaches(_metadata, c, 0);
	dma_reaches(_metadata, c, 1);
	FACT(container_unmap(c, 0, 2));
	dma_blocked(_metadata, c, 0);
}

TEST_F(removed, extension)
{
	struct container *c = &self->c;

	check_extensions(_metadata, c);
	FACT(vfio_group_set_container(c->group, c->fd));
	check_extensions(_metadata, c);
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	check_extensions(_metadata, c);
	container_open_dev(_metadata, c);
	check_extensions(_metadata, c);
}

/*
 * Without a group both return EINVAL, for different reasons. type1 gives a
 * container without a group no IOMMU at all, whatever the type. iommufd checks
 * the type first.
 */
TEST_F(removed, set_without_group)
{
	struct container *c = &self->c;

	REFUSED(EINVAL, vfio_container_set_iommu(c->fd, NESTING));
	REFUSED(EINVAL, vfio_container_set_iommu(c->fd, NESTING));
	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	check_dma(_metadata, c);
}

TEST_F(removed, set_then_type1v2)
{
	struct container *c = &self->c;

	FACT(vfio_group_set_container(c->group, c->fd));
	REFUSED(variant->refused, vfio_container_set_iommu(c->fd, NESTING));
	REFUSED(variant->refused, vfio_container_set_iommu(c->fd, NESTING));
	check_extensions(_metadata, c);
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));

	container_open_dev(_metadata, c);
	FACT(container_map(c, NR_DATA - 1, 1, MAP_RW));
	dma_prime(&c->dev);
	check_dma(_metadata, c);
	/* This is v2, not v1: a mapping can only be unmapped as a whole */
	FACT(container_map(c, 0, 3, MAP_RW));
	REFUSED(variant->kind == CONTAINER_TYPE1 ? EINVAL : ENOENT,
		container_unmap(c, 1, 1));
	dma_reaches(_metadata, c, 1);
}

TEST_F(removed, set_then_type1)
{
	struct container *c = &self->c;

	FACT(vfio_group_set_container(c->group, c->fd));
	REFUSED(variant->refused, vfio_container_set_iommu(c->fd, NESTING));
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1_IOMMU));
	container_open_dev(_metadata, c);
	FACT(container_map(c, NR_DATA - 1, 1, MAP_RW));
	dma_prime(&c->dev);
	check_dma(_metadata, c);
}

/* type1 already has its IOMMU, for good; iommufd checks the type first again */
TEST_F(removed, set_after_type1v2)
{
	struct container *c = &self->c;

	container_start(_metadata, c, VFIO_TYPE1v2_IOMMU);
	FACT(container_map(c, 0, 1, MAP_RW));
	dma_reaches(_metadata, c, 0);
	REFUSED(EINVAL, vfio_container_set_iommu(c->fd, NESTING));
	REFUSED(EINVAL, vfio_container_set_iommu(c->fd, NESTING));
	dma_reaches(_metadata, c, 0);
	FACT(container_unmap(c, 0, 1));
	dma_blocked(_metadata, c, 0);
	check_dma(_metadata, c);
}

/* A container whose last group left is like a new one: the same errnos */
TEST_F(removed, set_after_group_left)
{
	struct container *c = &self->c;

	FACT(vfio_group_set_container(c->group, c->fd));
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	FACT(vfio_group_unset_container(c->group));
	REFUSED(EINVAL, vfio_container_set_iommu(c->fd, NESTING));
	FACT(vfio_group_set_container(c->group, c->fd));
	REFUSED(variant->refused, vfio_container_set_iommu(c->fd, NESTING));
	FACT(vfio_container_set_iommu(c->fd, VFIO_TYPE1v2_IOMMU));
	container_open_dev(_metadata, c);
	FACT(container_map(c, NR_DATA - 1, 1, MAP_RW));
	dma_prime(&c->dev);
	check_dma(_metadata, c);
}

TEST_HARNESS_MAIN
