using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>What cannot be done with a model object, or does not fit it, is refused before any work, by name.</summary>
[TestClass]
[TestCategory("ForeignModels")]
public sealed class ForeignModelsRefusalTests
{
    private static readonly MLContext s_ml = new();

    public static IEnumerable<object[]> Refusals =>
    [
        ["Method is Full, and of a model object only the targets can train",
            With(options =>
                (options.Method, options.Rank, options.TargetModules) = (FineTuningMethod.Full, null, new Options().TargetModules))],
        ["Method is Lisa, and of a model object only the targets can train",
            With(options =>
                (options.Method, options.Rank, options.TargetModules) = (FineTuningMethod.Lisa, null, new Options().TargetModules))],
        ["Method is GaLore, and of a model object only the targets can train. Set GradientProjection.TargetsOnly",
            With(options => options.Method = FineTuningMethod.GaLore)],
        ["Dropout is 0.1, and a model object computes with the adapted weight itself", With(options => options.Dropout = 0.1)],
        ["GradientCheckpointing is True, and the layers of a model object", With(options => options.GradientCheckpointing = true)],
        ["Quantization is NF4, and a model object", With(options => options.Quantization = BaseQuantization.NF4)],
        ["ComputeType is BFloat16, and a model object", With(options => options.ComputeType = WeightType.BFloat16)],
        ["SavedType is Float32, and a model object", With(options => options.SavedType = WeightType.Float32)],
        ["somewhere, and the model is an object", With(options => options.ModelFolder = "somewhere")],
        ["'qq_proj' matches no module", With(options => options.TargetModules = ["qq_proj"])],
        ["allows ranks from 1 to 16", With(options => options.Rank = 17)],
    ];

    [TestMethod]
    [DynamicData(nameof(Refusals))]
    public void WhatAModelObjectCannotDoIsRefused(string message, Action<Options> set)
    {
        using var model = LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec);
        Options options = ForeignModelsTrainingTests.Settings([]);
        set(options);

        Assert.Contains(
            message,
            Assert.Throws<ArgumentException>(() => s_ml.Sorsa().FineTune(model, ForeignModelsTrainingTests.Tokens(), options)).Message);
    }

    [TestMethod]
    public void ModelAndTokenizerMustFit()
    {
        using var model = LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec);
        string json = Encoding.UTF8.GetString(ForeignModelsTrainingTests.Config.Json).Replace("264", "100", StringComparison.Ordinal);
        using var narrow = LookAlikes.Random("llama", DecoderConfig.Parse(Encoding.UTF8.GetBytes(json), "config.json").Spec);
        Options options = ForeignModelsTrainingTests.Settings([]);
        BpeTokenizer endless = ForeignModelsTokenizerTests.Pieces(null, null);

        Assert.Contains(
            "endTokenId is null", Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().FineTune(model, endless, options)).Message);
        Assert.IsNotNull(s_ml.Sorsa().FineTune(model, endless, options, endTokenId: 2));
        Assert.Contains(
            "its end token is 700",
            Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().FineTune(model, endless, options, endTokenId: 700)).Message);
        Assert.Contains(
            "the model gives scores for 100",
            Assert.ThrowsExactly<ArgumentException>(
                () => s_ml.Sorsa().FineTune(narrow, ForeignModelsTrainingTests.Tokens(), options)).Message);
        Assert.Contains("logits must be floating-point numbers", Assert.ThrowsExactly<ArgumentException>(
            () => s_ml.Sorsa().FineTune(model, ForeignModelsTrainingTests.Tokens(), options, ids => ids)).Message);
        Assert.Contains("has no shape that is understood", Assert.ThrowsExactly<NotSupportedException>(
            () => s_ml.Sorsa().FineTune(
                new LookAlikeAttentionOnly(ForeignModelsTrainingTests.Config.Spec), ForeignModelsTrainingTests.Tokens(), options)).Message);
    }

    /// <summary>As the padding token of Llama 2's conversions: a text that holds it is refused, and nothing else.</summary>
    [TestMethod]
    [TestCategory("Cases")]
    public void Case07ASpecialTokenBeyondAnObjectsRowsIsOnlyRefusedInATextThatHoldsIt()
    {
        using var model = LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec);
        Tokenizer Tokens(string name, int id)
        {
            var special = new Dictionary<string, int> { ["<|endoftext|>"] = 256, [name] = id };
            return TiktokenTokenizer.Create(
                ForeignModelsTokenizerTests.ByteTable(), new RegexPreTokenizer(new Regex(".+|\n"), special), null, special);
        }

        Options options = ForeignModelsTrainingTests.Settings([]);
        options.PromptTemplate = Sorsa.Data.PromptTemplate.Format("{prompt}");
        options.MaxSteps = 2;

        using SorsaTransformer trained = s_ml.Sorsa().FineTune(model, Tokens("<pad>", 264), options).Fit(TinyTask.Data(s_ml));

        Assert.AreEqual(trained.Generate("a"), trained.Generate("a"));
        string message = Assert.Throws<ArgumentException>(() => trained.Generate("a <pad> b")).Message;
        Assert.Contains("The text holds '<pad>', which is token 264, and the model has the tokens 0 to 263", message);
        Assert.Contains("its end token is 264", Assert.ThrowsExactly<ArgumentException>(
            () => s_ml.Sorsa().FineTune(model, Tokens("</s>", 264), options, endTokenId: 264)).Message);
    }

    private static Action<Options> With(Action<Options> set) => set;

    /// <summary>It has targets, and a forward that takes something else.</summary>
    private sealed class LookAlikeAttentionOnly : nn.Module<LookAlikeLayerInput, Tensor>
    {
        private readonly LookAlikeAttention q_proj;

        public LookAlikeAttentionOnly(DecoderSpec spec)
            : base(nameof(LookAlikeAttentionOnly))
        {
            q_proj = new LookAlikeAttention(spec, 0);
            RegisterComponents();
        }

        public override Tensor forward(LookAlikeLayerInput input) => q_proj.forward(input);
    }
}
