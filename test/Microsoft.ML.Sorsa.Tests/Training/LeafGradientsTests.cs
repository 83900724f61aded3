using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>
/// What trains and enters a function whose gradients are computed in C#: y = x W, ∂L/∂W = xᵀ dY. Tensors are counted per process, so
/// nothing else may run.
/// </summary>
[TestClass]
[TestCategory("Backward")]
[DoNotParallelize]
[TestCategory("Numeric")]
public sealed class LeafGradientsTests
{
    /// <summary>Two uses of a weight in one backward, and a second backward behind it, with libtorch's own gradients beside them.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void TheyAddUpAsLibtorchs(bool isTransposed)
    {
        using var scope = NewDisposeScope();
        (Parameter ours, Parameter libtorchs) = (Weight(), Weight());
        Tensor x = arange(6, dtype: ScalarType.Float32).OnDevice().view(2, 3);

        for (int i = 0; i < 2; i++)
        {
            using var pass = new BackwardPass();
            Tensor y = Product.Apply(x, ours, isTransposed) + Product.Apply(x * 3, ours, isTransposed) + x.mm(ours);
            pass.Run(y, Gradient());
            (x.mm(libtorchs) + (x * 3).mm(libtorchs) + x.mm(libtorchs)).backward([Gradient()]);
        }

        Assert.IsTrue(ours.grad!.Equals(libtorchs.grad!), "The sums are whole numbers: they are the same in any order.");
        CollectionAssert.AreEqual(ours.stride(), ours.grad!.stride());
    }

    /// <summary>Where libtorch would keep a copy, the gradient itself is kept, and the weight alone holds it.</summary>
    [TestMethod]
    public void AFirstGradientIsKeptItselfAndHeldOnce()
    {
        using var scope = NewDisposeScope();
        Parameter weight = Weight();
        Tensor x = ones(2, 3).OnDevice();
        BackwardTests.Collect();
        long before = Tensor.TotalCount;
        using (var pass = new BackwardPass())
        {
            using var step = NewDisposeScope();
            pass.Run(Product.Apply(x, weight, isTransposed: false), Gradient());

            Assert.AreEqual(Product.LastGradient, Address(weight.grad!));
        }

        Assert.AreEqual(before, Tensor.TotalCount);
        weight.grad = null;
    }

    /// <summary>A frozen weight gets none, though the function has computed it; another type's is libtorch's to convert.</summary>
    [TestMethod]
    public void WhatDoesNotFitIsLibtorchs()
    {
        using var scope = NewDisposeScope();
        Parameter frozen = new(Values(), requires_grad: false), wide = new(Values().to(ScalarType.Float64));
        Tensor x = ones(2, 3).OnDevice().requires_grad_();
        using var pass = new BackwardPass();

        pass.Run(Product.Apply(x, frozen, isTransposed: false) + Product.Apply(x, wide, isTransposed: false), Gradient());

        Assert.IsNull(frozen.grad);
        Assert.AreEqual(ScalarType.Float64, wide.grad!.dtype);
        Assert.AreEqual(Gradient().sum().item<float>() * 3, wide.grad!.sum().item<double>());
        Assert.IsNotNull(x.grad);
    }

    /// <summary>Somebody has put a gradient of another shape there: the caller of backward hears of it, and nothing stays alive.</summary>
    [TestMethod]
    public void WhatCannotBeAddedReachesWhoeverCalledBackward()
    {
        using var scope = NewDisposeScope();
        Parameter weight = Weight();
        Tensor x = ones(2, 3).OnDevice();
        using Tensor other = ones(3, 5).OnDevice();
        BackwardTests.Collect();
        long before = Tensor.TotalCount;
        using (var pass = new BackwardPass())
        {
            using var step = NewDisposeScope();
            Tensor y = Product.Apply(x, weight, isTransposed: false);
            weight.grad = other;

            Assert.Throws<ExternalException>(() => pass.Run(y, Gradient()));

            weight.grad = null;
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    /// <summary>Outside of a pass somebody else asks, and may want gradients without any that stay.</summary>
    [TestMethod]
    public void OutsideOfAPassNoneIsPutAnywhere()
    {
        using var scope = NewDisposeScope();
        Parameter weight = Weight();

        Tensor gradient = grad([Product.Apply(ones(2, 3).OnDevice(), weight, isTransposed: false).sum()], [weight])[0];

        Assert.IsNull(weight.grad);
        Assert.AreEqual(24, gradient.sum().item<float>());
    }

    private static long Address(Tensor tensor) => TensorData.Address(tensor);

    private static Tensor Values() => arange(12, dtype: ScalarType.Float32).OnDevice().view(3, 4);

    private static Parameter Weight() => new(Values());

    private static Tensor Gradient() => arange(8, dtype: ScalarType.Float32).OnDevice().view(2, 4);

    private sealed class Product : GradientFunction<Product>
    {
        private const string IsTransposed = nameof(IsTransposed);

        /// <summary>Where the last gradient of a weight lay.</summary>
        public static long LastGradient { get; set; }

        public static Tensor Apply(Tensor x, Parameter weight, bool isTransposed) => Record(x, weight, isTransposed);

        protected override Tensor Forward(AutogradContext ctx, object[] vars)
        {
            (Tensor x, Tensor weight) = ((Tensor)vars[0], (Tensor)vars[1]);
            ctx.save_for_backward([x, weight]);
            ctx.save_data(IsTransposed, vars[2]);
            return x.mm(weight.to(x.dtype));
        }

        protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
        {
            List<Tensor> saved = ctx.get_saved_variables();
            bool isTransposed = (bool)ctx.get_data(IsTransposed);
            Tensor dw = isTransposed ? gradient.t().mm(saved[0]).t() : saved[0].t().mm(gradient);
            LastGradient = Address(dw);
            return [gradient.mm(saved[1].to(gradient.dtype).t()), dw, null];
        }
    }
}
