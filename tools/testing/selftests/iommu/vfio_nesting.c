// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_TYPE1_NESTING_IOMMU is gone: who asks for it is told so, and loses
 * nothing by asking.
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
	/* How, where a type that there is would be accepted */
	int refused;
};

/* No IOMMU backend of vfio claims the number */
FIXTURE_VARIANT_ADD(removed, type1)
{
	.kind = CONTAINER_TYPE1,
	.refused = ENODEV,
};

/* iommufd is the only backend there, and knows the types that it emulates */
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

/* Map, reach, unmap */
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
 * Without a group EINVAL from both, and not for the same reason: type1 gives a
 * container without a group no IOMMU at all and does not look at the number,
 * iommufd looks at the number first.
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
	/* v2 it is, not v1: a mapping comes apart only as it was made */
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

/* type1 has its IOMMU by then, for good; again iommufd looks at the number */
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

/* A container whose group has left is as new: the same answers once more */
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
