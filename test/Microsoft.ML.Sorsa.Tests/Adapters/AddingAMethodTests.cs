using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;
using Parameter = TorchSharp.Modules.Parameter;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>
/// docs/adding-a-method.md: its method is this project's <see cref="VeraMethod"/>, and does all that a method of the library does.
/// </summary>
[TestClass]
[TestCategory("Methods")]
public sealed partial class AddingAMethodTests
{
    private static readonly MLContext s_ml = new();

    [TestMethod]
    public void TheDocumentShowsTheSource()
    {
        string document = File.ReadAllText(Path.Combine(TestData.Root, "docs", "adding-a-method.md"));
        string source = File.ReadAllText(Path.Combine(TestData.Root, "test", "Microsoft.ML.Sorsa.Tests", "Adapters", "VeraMethod.cs"));

        string[] blocks = [.. CodeBlock().Matches(document).Select(block => block.Groups[1].Value)];

        Assert.AreEqual(source, string.Join('\n', blocks));
    }

    [TestMethod]
    public void ItTrainsMergesIsSavedAndLoaded()
    {
        using IDisposable registration = MethodCatalog.Register(VeraMethod.Descriptor);
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "vera"), lora = Path.Combine(folder.Path, "lora");
        var losses = new List<double>();

        using SorsaTransformer trained = Train(losses);
        trained.SaveAdapter(file);
        trained.SaveAdapter(lora, AdapterFormat.LoraDifference);
        using SorsaTransformer model = AdaptersFileTests.Base();
        int[] before = TinyTask.LogitBits(model.Model.Network);
        model.LoadAdapter("vera", file);
        model.LoadAdapter("lora", lora);
        model.UseAdapter("vera");
        int[] loaded = TinyTask.LogitBits(model.Model.Network);
        model.UseAdapter("lora");
        int[] difference = TinyTask.LogitBits(model.Model.Network);

        Assert.IsLessThan(0.9 * losses[0], losses[^1]);
        Assert.IsTrue(trained.MergeReport!.Matrices.All(matrix => matrix.UpdateNorm > 0));
        CollectionAssert.AreEqual(TinyTask.LogitBits(trained.Model.Network), loaded);
        CollectionAssert.AreNotEqual(before, loaded);
        Assert.IsLessThan(1e-3, loaded.Zip(difference, (a, b) => Math.Abs(Number(a) - Number(b))).Max());
        var refused = Assert.ThrowsExactly<NotSupportedException>(
            () => trained.SaveAdapter(Path.Combine(folder.Path, "peft"), AdapterFormat.Peft));
        Assert.Contains("no method 'vera'", refused.Message);

        static float Number(int bits) => BitConverter.Int32BitsToSingle(bits);
    }

    [TestMethod]
    public void ForwardAndMergeAreTheFormula()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(4);
        Tensor Draw(params long[] shape) => randn(shape, ScalarType.Float64, generator: generator);
        Tensor w = Draw(5, 7), a = Draw(3, 7), b = Draw(5, 3), d = Draw(3), g = Draw(5), bias = Draw(5), x = Draw(4, 7);
        var adapter = new VeraLinear(
            new PlainWeight(w.clone()), a.clone(), b.clone(), d.clone(), g.clone(), new Parameter(bias.clone(), requires_grad: false));

        Tensor expected = w + diag(g).mm(b).mm(diag(d)).mm(a);

        Assert.IsLessThanOrEqualTo(1e-12, Largest(expected - adapter.MergedWeight()));
        Assert.IsLessThanOrEqualTo(1e-12, Largest(x.mm(expected.t()) + bias - adapter.call(x)));
    }

    [TestMethod]
    public void OptionsThatItDoesNotHaveAreRefused()
    {
        using IDisposable registration = MethodCatalog.Register(VeraMethod.Descriptor);
        Options options = Vera();
        options.Alpha = 3;

        string message = Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().FineTune(options)).Message;

        Assert.Contains("Alpha is 3; it does not belong to Method 1000", message);
    }

    [TestMethod]
    public void OutsideOfItsRegistrationItIsUnknown()
    {
        using (MethodCatalog.Register(VeraMethod.Descriptor))
        {
            Assert.ThrowsExactly<ArgumentException>(() => MethodCatalog.Register(VeraMethod.Descriptor));
        }

        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => MethodCatalog.Get(VeraMethod.Descriptor.Method));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => s_ml.Sorsa().FineTune(Vera()));
    }

    [TestMethod]
    public void EveryMethodThatUsersCanNameIsInTheCatalogOnce()
    {
        FineTuningMethod[] listed = [.. MethodCatalog.All.Select(method => method.Method)];

        CollectionAssert.AreEquivalent(Enum.GetValues<FineTuningMethod>(), listed);
        CollectionAssert.AllItemsAreUnique(MethodCatalog.All.Select(method => method.Name).ToArray());
    }

    [TestMethod]
    public void EveryNamedOptionIsAnOptionOfTheTrainer()
    {
        string[] options = [.. typeof(Options).GetProperties().Select(property => property.Name)];

        string[] named = [.. Enum.GetNames<MethodOptions>().Except([nameof(MethodOptions.None), nameof(MethodOptions.LowRank)])];

        CollectionAssert.IsSubsetOf(named, options);
    }

    private static Options Vera()
    {
        Options options = TinyTask.Options();
        (options.Method, options.LearningRate, options.NumberOfEpochs) = (VeraMethod.Descriptor.Method, 0.05, 8);
        return options;
    }

    private static SorsaTransformer Train(List<double> losses)
    {
        Options options = Vera();
        options.Progress = new Losses(losses);
        return s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml));
    }

    private static double Largest(Tensor difference) => difference.abs().max().item<double>();

    [GeneratedRegex(@"^```csharp\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex CodeBlock();

    private sealed class Losses(List<double> losses) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => losses.Add(value.Loss);
    }
}
